#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% term_bench.escript PROGRAM CORPUS ROUNDS: times the codec (term_bench.c),
%% ei and this BEAM on each term of the corpus, in turn within one run: each
%% round does all of them once, and a ratio is always of two of one round.
%% Prints min/median/max of the ratios, how many times faster than the other
%% the codec is, and their geometric mean without the large binary.
-mode(compile).

-define(SLICE, 4000000).                % nanoseconds a measurement takes

main([Program, Corpus, Rounds]) ->
    Files = lists:sort(filelib:wildcard(filename:join(Corpus, "*.etf"))),
    io:format("OTP ~s, ~s rounds; times faster than the other: "
              "min / median / max~n~n",
              [erlang:system_info(otp_release), Rounds]),
    io:format("~-12s~s~n", ["", [io_lib:format("~-22s", [title(P)])
                                 || P <- pairs()]]),
    Rows = [term(Program, F, list_to_integer(Rounds)) || F <- Files],
    Means = [mean([lists:nth(I, R) || {Name, R} <- Rows, Name =/= "binary_1M"])
             || I <- lists:seq(1, length(pairs()))],
    io:format("~-12s~s~n", ["geom. mean",
                            [io_lib:format("       ~5.2f          ", [M])
                             || M <- Means]]).

pairs() ->
    [{skip, ei}, {walk, ei}, {encode, ei}, {encode, beam}, {index, beam}].

title({Op, ei}) -> [atom_to_list(Op), " : ei"];
title({encode, beam}) -> "encode : t_to_b";
title({index, beam}) -> "index : b_to_t".

mean(L) -> math:exp(lists:sum([math:log(X) || X <- L]) / length(L)).

term(Program, File, Rounds) ->
    {ok, Bytes} = file:read_file(File),
    Port = open_port({spawn_executable, Program},
                     [{args, [File]}, {line, 100}, exit_status]),
    Term = binary_to_term(Bytes),
    Whos = [{skip, etf}, {skip, ei}, {walk, etf}, {walk, ei}, {encode, etf},
            {encode, ei}, {encode, beam}, {index, etf}, {index, beam}],
    Jobs = [{W, repeats(fun(N) -> run(W, N, Port, Term, Bytes) end, 1)}
            || W <- Whos],
    Times = [maps:from_list([{W, run(W, N, Port, Term, Bytes) / N}
                             || {W, N} <- Jobs]) || _ <- lists:seq(1, Rounds)],
    port_close(Port),
    Name = filename:basename(File, ".etf"),
    Ratios = [lists:sort([maps:get({Op, Lib}, T) / maps:get({Op, etf}, T)
                          || T <- Times]) || {Op, Lib} <- pairs()],
    io:format("~-12s~s~n", [Name, [cell(R) || R <- Ratios]]),
    {Name, [median(R) || R <- Ratios]}.

cell(R) ->
    io_lib:format("~-22s", [io_lib:format("~s /~s /~s",
                                          [show(hd(R)), show(median(R)),
                                           show(lists:last(R))])]).

show(X) when X >= 1000 -> io_lib:format("~6b", [round(X)]);
show(X) -> io_lib:format("~6.2f", [X]).

median(R) -> lists:nth((length(R) + 1) div 2, R).

%% So many that one measurement takes its slice.
repeats(Run, N) ->
    case Run(N) of
        T when T >= ?SLICE; N > 1000000000 -> N;
        T when T < ?SLICE div 100 -> repeats(Run, N * 10);
        T -> repeats(Run, N * ?SLICE div T + 1)
    end.

run({encode, beam}, N, _, Term, _) ->
    alone(fun() -> encode(N, Term) end);
run({index, beam}, N, _, _, Bytes) ->
    alone(fun() -> decode(N, Bytes) end);
run({Op, Lib}, N, Port, _, _) ->
    port_command(Port, io_lib:format("~s ~s ~b~n", [Op, Lib, N])),
    receive
        {Port, {data, {eol, Line}}} -> list_to_integer(Line);
        {Port, {exit_status, S}} -> error({ended, S})
    end.

%% In a process of its own, with a heap that need not grow at first.
alone(Fun) ->
    Self = self(),
    Pid = spawn_opt(fun() ->
                            From = erlang:monotonic_time(nanosecond),
                            Fun(),
                            Self ! {self(),
                                    erlang:monotonic_time(nanosecond) - From}
                    end, [{min_heap_size, 1000000}]),
    receive {Pid, T} -> T end.

encode(0, _) -> ok;
encode(N, Term) ->
    _ = term_to_binary(Term, [{minor_version, 2}]),
    encode(N - 1, Term).

decode(0, _) -> ok;
decode(N, Bytes) ->
    _ = binary_to_term(Bytes),
    decode(N - 1, Bytes).
