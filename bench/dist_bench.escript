#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% dist_bench.escript PROGRAM ROUNDS JSON BEAM [BEAM29]: this library beside ei,
%% BEAM nodes, and what the machine and the other side can do at most
%% (bench/dist.h tells how). BEAM is a command that starts dist_peer as the node
%% whose name is appended to it, and so is BEAM29, on OTP 29; without it, BEAM
%% takes its place. $ERL_EPMD_PORT is an EPMD of its own.
%%
%% Each round measures everything once, in turn, and a ratio is always of two
%% of one round: what disturbs the machine disturbs both. Printed are medians,
%% minima and maxima, and for what is wanted whether the median reaches it.
%% JSON is a file for the same as JSON, or "-" for none.
-mode(compile).

-define(SLICE, 60000000).               % nanoseconds a measurement takes
-define(IDLE_SECONDS, "3").
-define(KB, 1024).
-define(MB, 1048576).

main([Program, Rounds, Json, Beam | Beam29]) ->
    persistent_term:put(program, Program),
    Servers = start(Beam, Beam29),
    io:format("~s rounds, OTP ~s and ~s; times of 1 MB are those of "
              "1 048 576 bytes~n", [Rounds, release(Servers, b25),
                                    release(Servers, b29)]),
    Counts = maps:from_list([{J, calibrate(J, Servers)} || J <- jobs()]),
    Results = [round_of(Counts, Servers)
               || _ <- lists:seq(1, list_to_integer(Rounds))],
    Memory = [{N, measure({crowd, N}, N, Servers)} || N <- [10, 100, 1000]],
    Idle = [{measure({idle, own}, 1000, Servers),
             measure({idle, plain}, 1000, Servers)} || _ <- lists:seq(1, 3)],
    report(Results, Memory, Idle, Json).

%% --- programs ----------------------------------------------------------------

%% {Kind, name of the node}; a BEAM twice, for one to send to the other.
start(Beam, Beam29) ->
    New = case Beam29 of [] -> Beam; [B] -> B end,
    maps:from_list(
      [{K, beam(C, K)} || {K, C} <- [{b25, Beam}, {c25, Beam}, {b29, New},
                                     {c29, New}]] ++
      [{K, serve(atom_to_list(K), node_name(K))}
       || K <- [own, ei, frames, plain, uv]] ++
      [{parts, serve("frames", "parts", node_name(parts))}]).

node_name(K) -> atom_to_list(K) ++ "@127.0.0.1".

beam(Command, K) ->
    Port = open_port({spawn, Command ++ " " ++ node_name(K)},
                     [{line, 1000}, exit_status]),
    "ready " ++ Otp = line(Port),
    #{port => Port, otp => Otp, tcp => tcp_port(K)}.

serve(Kind, Name) -> serve(Kind, "serve", Name).

serve(Kind, Verb, Name) ->
    Port = run([Kind, Verb, Name]),
    "ready " ++ Tcp = line(Port),
    #{port => Port, tcp => Tcp}.

tcp_port(K) ->
    {port, P, _} = erl_epmd:port_please(atom_to_list(K), {127, 0, 0, 1}),
    integer_to_list(P).

run(Args) ->
    open_port({spawn_executable, persistent_term:get(program)},
              [{args, Args}, {line, 1000}, exit_status]).

line(Port) ->
    receive
        {Port, {data, {eol, Line}}} -> Line;
        {Port, {exit_status, S}} -> error({ended, S})
    after 30000 -> error(no_answer)
    end.

release(Servers, K) -> maps:get(otp, maps:get(K, Servers)).

%% Names that no connection had before: nothing waits for the end of an old one.
fresh() ->
    N = case get(names) of undefined -> 1; M -> M end,
    put(names, N + 1),
    "x" ++ integer_to_list(N) ++ "@127.0.0.1".

%% --- what is measured ------------------------------------------------------

%% {What, From, To, Size}
jobs() ->
    Sizes = [16, ?KB, 64 * ?KB, ?MB],
    Large = [64 * ?KB, ?MB],
    [{send, F, b29, S} || S <- Sizes, F <- [own, frames, ei, c29]] ++
    [{send, c25, b25, S} || S <- Sizes] ++
    [{send, frames, own, S} || S <- Sizes] ++
    [{send, frames, ei, S} || S <- Sizes] ++
    [{send, plain, plain, S} || S <- Sizes] ++
    [{send, F, F, S} || S <- Sizes, F <- [own, ei]] ++
    [{send, b29, T, S} || S <- Sizes, T <- [own, ei, frames]] ++
    [{send, b29, parts, S} || S <- Large] ++
    [{send, b25, own, S} || S <- [16 | Large]] ++
    [{ping, F, b29, 16} || F <- [own, ei, c29]] ++
    [{ping, F, F, 16} || F <- [own, ei, uv, plain]] ++
    [{connect, F, b29, A} || {F, A} <- [{own, 1}, {ei, 1}, {own, 100}]].

%% So many messages that they take the slice.
calibrate({connect, _, _, _}, _) -> 100;
calibrate({ping, _, _, _} = J, Servers) ->
    {P50, _, _} = measure(J, 200, Servers),
    max(200, min(5000, ?SLICE div max(P50, 1)));
calibrate({send, _, _, Size} = J, Servers) ->
    calibrate(J, max(4, min(2000, 4 * ?MB div Size)), Servers).

calibrate(J, N, Servers) ->
    case measure(J, N, Servers) of
        {T, _, _} when T < ?SLICE div 10, N < 10000000 ->
            calibrate(J, N * 8, Servers);
        {T, _, _} ->
            max(4, N * ?SLICE div T)
    end.

round_of(Counts, Servers) ->
    maps:from_list([{J, per_message(J, maps:get(J, Counts), Servers)}
                    || J <- jobs()]).

%% #{time, cpu, peer_cpu}: nanoseconds of one message; #{p50, p99, cpu}.
per_message({ping, _, _, _} = J, N, Servers) ->
    {P50, P99, Cpu} = measure(J, N, Servers),
    #{p50 => P50, p99 => P99, cpu => Cpu};
per_message(J, N, Servers) ->
    {T, Cpu, PeerCpu} = measure(J, N, Servers),
    #{time => T / N, cpu => Cpu / N, peer_cpu => PeerCpu / N}.

measure(Job, N, Servers) ->
    try
        do(Job, N, Servers)
    catch
        error:Reason -> error({Job, N, Reason})
    end.

do({idle, plain}, N, _) ->
    answer(run(["plain", "idle", fresh(), "-", "0", ?IDLE_SECONDS,
                integer_to_list(N)]));
do({idle, own}, N, _) ->
    Name = "i" ++ fresh(),
    #{port := Server, tcp := Tcp} = serve("own", "calm", Name),
    Result = answer(run(["frames", "idle", fresh(), Name, Tcp, ?IDLE_SECONDS,
                         integer_to_list(N)])),
    port_close(Server),
    Result;
do({crowd, N}, N, _) ->
    %% a server of its own, for memory that was used stays with a program
    Name = "m" ++ fresh(),
    #{port := Server, tcp := Tcp} = serve("own", Name),
    Result = answer(run(["frames", "crowd", fresh(), Name, Tcp, "0",
                         integer_to_list(N)])),
    port_close(Server),
    Result;
do({What, From, To, Size}, N, Servers) ->
    #{tcp := Tcp} = maps:get(To, Servers),
    case maps:get(From, Servers) of
        #{otp := _, port := Port} ->
            port_command(Port, lists:join($ , [atom_to_list(What),
                                               node_name(To),
                                               integer_to_list(Size),
                                               integer_to_list(N)]) ++ "\n"),
            numbers(line(Port));
        _ ->
            answer(run([atom_to_list(From), atom_to_list(What), fresh(),
                        node_name(To), Tcp, integer_to_list(Size),
                        integer_to_list(N)]))
    end.

answer(Port) ->
    Numbers = numbers(line(Port)),
    receive {Port, {exit_status, _}} -> ok end,
    Numbers.

numbers("ok " ++ Rest) ->
    list_to_tuple([list_to_integer(N) || N <- string:lexemes(Rest, " ")]);
numbers(Line) ->
    error({answer, Line}).

%% --- the table --------------------------------------------------------------

%% {Title, what is shown, what is wanted}. Shown: {Text, Unit, Job, Key}.
%% Wanted: {Text, at_least | at_most, Value, fun(Round) -> Ratio}.
rows() ->
    [to_beam(16, 2.4), to_beam(?KB, 1.4), frames_in(16), frames_in(?KB),
     c_to_c(16), c_to_c(?KB), from_beam(16), from_beam(?KB), ping_beam(),
     ping_c()] ++
    [large(Row, S) || S <- [64 * ?KB, ?MB], Row <- [to, from, c]] ++
    [connect()].

to_beam(S, Ei) ->
    Own = {send, own, b29, S},
    {["C -> BEAM 29, ", bytes(S)],
     [rate("limit", {send, frames, b29, S}), rate("own", Own),
      rate("ei", {send, ei, b29, S}), rate("BEAM 29", {send, c29, b29, S}),
      rate("25 -> 25", {send, c25, b25, S}),
      ns("limit, CPU", {send, frames, b29, S}, cpu), ns("own, CPU", Own, cpu),
      ns("ei, CPU", {send, ei, b29, S}, cpu)],
     [faster("own : limit", 0.95, Own, {send, frames, b29, S}),
      faster("own : ei", Ei, Own, {send, ei, b29, S}),
      {"own, CPU ns", at_most, 140, fun(R) -> value(R, Own, cpu) end}]}.

frames_in(S) ->
    Own = {send, frames, own, S},
    Raw = {send, plain, plain, S},
    {["frames -> C, delivered, ", bytes(S)],
     [rate("raw batch", Raw), rate("own", Own),
      rate("ei", {send, frames, ei, S}), ns("own, CPU", Own, peer_cpu),
      ns("ei, CPU", {send, frames, ei, S}, peer_cpu)],
     case S of
         16 -> [faster("own : ei", 7, Own, {send, frames, ei, S}),
                faster("own : raw / 20", 1,  Own, Raw, 20)];
         _ -> [faster("own : raw", 0.9, Own, Raw)]
     end}.

c_to_c(S) ->
    Own = {send, own, own, S},
    Ei = {send, ei, ei, S},
    {["C -> C one way, ", bytes(S)],
     [rate("own", Own), rate("ei", Ei), ns("own, CPU out", Own, cpu),
      ns("own, CPU in", Own, peer_cpu), ns("ei, CPU out", Ei, cpu),
      ns("ei, CPU in", Ei, peer_cpu)],
     [faster("own : ei", 12, Own, Ei) || S =:= 16]}.

from_beam(S) ->
    Own = {send, b29, own, S},
    Ei = {send, b29, ei, S},
    {["BEAM 29 -> C, ", bytes(S)],
     [rate("limit", {send, b29, frames, S}), rate("own", Own), rate("ei", Ei),
      ns("limit, CPU", {send, b29, frames, S}, peer_cpu),
      ns("own, CPU", Own, peer_cpu), ns("ei, CPU", Ei, peer_cpu)],
     [W || W <- [faster("own : ei", 1, Own, Ei),
                 {"own : ei, CPU", at_most, 0.62,
                  fun(R) -> value(R, Own, peer_cpu) / value(R, Ei, peer_cpu)
                  end}], S =:= 16]}.

ping_beam() ->
    Own = {ping, own, b29, 16},
    Ei = {ping, ei, b29, 16},
    {["round trip C - BEAM 29, ", bytes(16)],
     times(["own", "ei", "BEAM 29"], [Own, Ei, {ping, c29, b29, 16}]),
     [slower("own : ei", 0.95, Own, Ei, p50),
      slower("own : ei, p99", 1, Own, Ei, p99)]}.

ping_c() ->
    Own = {ping, own, own, 16},
    {["round trip C - C, ", bytes(16)],
     times(["own", "ei", "raw libuv", "raw blocking"],
           [Own, {ping, ei, ei, 16}, {ping, uv, uv, 16},
            {ping, plain, plain, 16}]),
     [slower("own : raw libuv", 1.08, Own, {ping, uv, uv, 16}, p50),
      slower("own : ei, p99", 1, Own, {ping, ei, ei, 16}, p99)]}.

large(to, S) ->
    Own = {send, own, b29, S},
    Limit = {send, frames, b29, S},
    {["C -> BEAM 29, ", bytes(S)],
     [rate("limit", Limit), rate("own", Own), rate("ei", {send, ei, b29, S}),
      rate("BEAM 29", {send, c29, b29, S}),
      rate("25 -> 25", {send, c25, b25, S}), ns("own, CPU", Own, cpu)],
     [faster("own : limit", 0.95, Own, Limit)]};
large(from, S) ->
    Own = {send, b29, own, S},
    Limit = {send, b29, parts, S},
    {["BEAM 29 -> C, ", bytes(S)],
     [rate("limit", Limit), rate("limit, in one frame", {send, b29, frames, S}),
      rate("own", Own), rate("ei", {send, b29, ei, S}),
      rate("from 25", {send, b25, own, S}), ns("own, CPU", Own, peer_cpu),
      ns("ei, CPU", {send, b29, ei, S}, peer_cpu)],
     [faster("own : limit", 0.95, Own, Limit)]};
large(c, S) ->
    {["C -> C one way, ", bytes(S)],
     [rate("raw batch", {send, plain, plain, S}),
      rate("frames", {send, frames, own, S}),
      rate("own", {send, own, own, S}), rate("ei", {send, ei, ei, S})], []}.

connect() ->
    Own = {connect, own, b29, 1},
    Ei = {connect, ei, b29, 1},
    All = {connect, own, b29, 100},
    {"connect C -> BEAM 29, with EPMD",
     [{"own, one by one", us, Own, time}, {"ei, one by one", us, Ei, time},
      {"own, 100 at once", us, All, time}],
     [slower("own : ei", 1, Own, Ei, time),
      faster("100 at once : ei", 1.3, All, Ei)]}.

bytes(S) when S < ?KB -> [integer_to_list(S), " B"];
bytes(S) when S < ?MB -> [integer_to_list(S div ?KB), " KB"];
bytes(S) -> [integer_to_list(S div ?MB), " MB"].

rate(Text, Job) -> {Text, per_s, Job, time}.
ns(Text, Job, Key) -> {Text, ns, Job, Key}.
times(Texts, Jobs) ->
    [{[T, " p50"], us, J, p50} || {T, J} <- lists:zip(Texts, Jobs)] ++
    [{[T, " p99"], us, J, p99} || {T, J} <- lists:zip(Texts, Jobs)].

faster(Text, Want, A, B) -> faster(Text, Want, A, B, 1).
faster(Text, Want, A, B, Times) ->
    {Text, at_least, Want,
     fun(R) -> Times * value(R, B, time) / value(R, A, time) end}.
slower(Text, Want, A, B, Key) ->
    {Text, at_most, Want, fun(R) -> value(R, A, Key) / value(R, B, Key) end}.

value(Round, Job, Key) -> max(1.0e-3, maps:get(Key, maps:get(Job, Round))).

%% --- and how it is printed --------------------------------------------------

report(Results, Memory, Idle, Json) ->
    Rows = [row(R, Results) || R <- rows()] ++ [memory(Memory), idle(Idle)],
    [print(R) || R <- Rows],
    Wanted = lists:append([W || {_, _, W} <- Rows]),
    io:format("~n~b of ~b wanted are met~n",
              [length([W || {_, _, _, _, true} = W <- Wanted]),
               length(Wanted)]),
    Json =:= "-" orelse
        (ok = file:write_file(Json, ["[", lists:join(",\n ", [json(R) || R <- Rows]),
                                     "]\n"])).

row({Title, Shown, Wanted}, Results) ->
    {Title,
     [{Text, Unit, spread([unit(Unit, value(R, Job, Key)) || R <- Results])}
      || {Text, Unit, Job, Key} <- Shown],
     [want(Text, Kind, Want, spread([F(R) || R <- Results]))
      || {Text, Kind, Want, F} <- Wanted]}.

memory(Memory) ->
    {"memory of an idle connection",
     [{io_lib:format("among ~b", [N]), bytes, {B, B, B}}
      || {N, {B, _, _}} <- Memory] ++
     [{"resident, among 1000", bytes, {R, R, R}}
      || {1000, {_, R, _}} <- Memory],
     [want(io_lib:format("bytes, among ~b", [N]), at_most, 1536, {B, B, B})
      || {N, {B, _, _}} <- Memory]}.

%% Each side ticks once a second. The sockets alone do what that takes, one
%% write and one read for each peer, and nothing else.
idle(Idle) ->
    Ms = fun(Which) -> spread([element(1, element(Which, I)) / 1.0e6 || I <- Idle]) end,
    {"1,000 idle peers at ticktime 4, CPU in a second",
     [{"own", ms, Ms(1)}, {"sockets alone", ms, Ms(2)},
      {"ticks out", per_s, spread([element(2, I) || {I, _} <- Idle])}],
     [want("own, CPU ms", at_most, 2, Ms(1))]}.

want(Text, at_least, Want, {Median, _, _} = S) ->
    {Text, ">=", Want, S, Median >= Want};
want(Text, at_most, Want, {Median, _, _} = S) ->
    {Text, "<=", Want, S, Median =< Want}.

unit(per_s, Ns) -> 1.0e9 / Ns;
unit(us, Ns) -> Ns / 1000;
unit(ns, Ns) -> Ns.

spread(L) ->
    S = lists:sort(L),
    {lists:nth((length(S) + 1) div 2, S), hd(S), lists:last(S)}.

print({Title, Shown, Wanted}) ->
    io:format("~n~s~n", [Title]),
    [io:format("    ~-22s~s ~-5s (~s ..~s)~n",
               [T, show(M), unit_text(U), show(Min), show(Max)])
     || {T, U, {M, Min, Max}} <- Shown],
    [io:format("    * ~-20s~s       (~s ..~s)   wanted ~s ~s: ~s~n",
               [T, show(M), show(Min), show(Max), Op, number(Want),
                case Met of true -> "met"; false -> "NOT MET" end])
     || {T, Op, Want, {M, Min, Max}, Met} <- Wanted].

unit_text(per_s) -> "/s";
unit_text(U) -> atom_to_list(U).

show(X) when X >= 1.0e6 -> io_lib:format("~8.2fM", [X / 1.0e6]);
show(X) when X >= 1.0e4 -> io_lib:format("~8.1fk", [X / 1.0e3]);
show(X) when X >= 100 -> io_lib:format("~9b", [round(X)]);
show(X) -> io_lib:format("~9.2f", [float(X)]).

number(X) when is_integer(X) -> integer_to_list(X);
number(X) -> float_to_list(X, [{decimals, 2}, compact]).

json({Title, Shown, Wanted}) ->
    ["{\"row\": ", text(Title), ", \"values\": [",
     lists:join(", ", [["{\"what\": ", text(T), ", \"unit\": ",
                        text(unit_text(U)), spread_json(S), "}"]
                       || {T, U, S} <- Shown]),
     "], \"wanted\": [",
     lists:join(", ", [["{\"what\": ", text(T), ", \"op\": ", text(Op),
                        ", \"value\": ", number(Want), spread_json(S),
                        ", \"met\": ", atom_to_list(Met), "}"]
                       || {T, Op, Want, S, Met} <- Wanted]), "]}"].

spread_json({Median, Min, Max}) ->
    io_lib:format(", \"median\": ~s, \"min\": ~s, \"max\": ~s",
                  [decimal(Median), decimal(Min), decimal(Max)]).

decimal(X) -> float_to_list(float(X), [{decimals, 3}]).

text(T) -> ["\"", T, "\""].
