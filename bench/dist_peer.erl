%% SPDX-License-Identifier: Apache-2.0
%%
%% dist_peer: the Erlang side of what bench/dist_bench.escript measures;
%% bench/dist.h tells what that is. It serves, and does what lines on its input
%% say, answering each with a line, until the input ends:
%%
%%   send NODE SIZE COUNT     "ok NS 0 PEER_CPU"
%%   ping NODE SIZE COUNT     "ok P50 P99 0"
-module(dist_peer).
-export([start/0]).

start() ->
    spawn(fun() ->
                  register(bench, spawn_link(fun serve/0)),
                  io:format("ready ~s~n", [erlang:system_info(otp_release)]),
                  obey()
          end).

obey() ->
    case io:get_line("") of
        Line when is_list(Line) -> obey(string:lexemes(Line, " \n")), obey();
        _ -> erlang:halt(0, [{flush, false}])
    end.

obey([Verb, Node, Size, Count]) ->
    Peer = {bench, list_to_atom(Node)},
    Bin = binary:copy(<<7>>, list_to_integer(Size)),
    N = list_to_integer(Count),
    %% in another process: whatever happens to it, the end of the input ends all
    spawn_link(fun() ->
                       {A, B, C} = run(Verb, Peer, Bin, N),
                       io:format("ok ~b ~b ~b~n", [A, B, C])
               end).

%% --- sending ----------------------------------------------------------------

run("send", Peer, Bin, N) ->
    To = open(Peer, sink, N),
    From = now_ns(),
    send(To, Bin, N),
    receive {done, Cpu} -> {now_ns() - From, 0, Cpu} end;
run("ping", Peer, Bin, N) ->
    To = open(Peer, echo, N),
    Times = lists:sort([ping(To, Bin) || _ <- lists:seq(1, N)]),
    {lists:nth(N div 2, Times), lists:nth(max(1, N * 99 div 100), Times), 0}.

open(Peer, What, N) ->
    Peer ! {open, self(), What, N},
    receive {opened, Pid} -> Pid end.

send(_, _, 0) -> ok;
send(To, Bin, N) ->
    To ! Bin,
    send(To, Bin, N - 1).

ping(To, Bin) ->
    From = now_ns(),
    To ! Bin,
    receive B when is_binary(B) -> now_ns() - From end.

now_ns() ->
    erlang:monotonic_time(nanosecond).

%% --- serving ----------------------------------------------------------------

serve() ->
    receive
        {open, From, What, N} ->
            Pid = spawn(fun() -> What =:= sink andalso sink(From, N),
                                 What =:= echo andalso echo(From, N)
                        end),
            From ! {opened, Pid};
        _ -> ok
    end,
    serve().

sink(From, 0) ->
    From ! {done, 0};
sink(From, N) ->
    receive B when is_binary(B) -> sink(From, N - 1) end.

echo(_, 0) -> ok;
echo(From, N) ->
    receive B when is_binary(B) -> From ! B, echo(From, N - 1) end.
