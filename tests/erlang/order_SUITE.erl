%% SPDX-License-Identifier: Apache-2.0
%%
%% Order and volume: what one process sends to one process arrives in order,
%% whatever its size and kind, and nothing is lost while the connection lives.
-module(order_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [{group, hidden}, {group, visible}, {group, own}].

groups() ->
    [{hidden, [], common()},
     {visible, [], common()},
     {own, [], [links_torn_down, monitors_torn_down]}].

common() ->
    [one_sender, several_senders, sink_several_senders, sizes_mixed,
     binary_1_mb, binary_16_mb, binary_16_mb_message, many_big_at_once,
     messages_before_exit, messages_before_link_exit, messages_then_kill,
     monitor_then_messages, casts_and_calls, processes_end_in_order].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_group(own, Config) ->
    Config;
init_per_group(Group, Config) ->
    Serve = cnode_test:serve(#{visible => Group =:= visible}),
    [{serve, Serve}, {node, maps:get(node, Serve)} | Config].

end_per_group(own, _) ->
    ok;
end_per_group(_, Config) ->
    cnode_test:stop(?config(serve, Config)).

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

end_per_testcase(_, Config) ->
    case ?config(node, Config) of
        undefined -> ok;
        Node -> ?assertEqual({ok, alive}, gen_server:call({echo, Node}, alive,
                                                          ?WAIT))
    end.

echo(Config) ->
    {echo, ?config(node, Config)}.

%% Sends Ns to To and gets them back in this order.
echoed(To, Ns) ->
    [To ! {self(), N} || N <- Ns],
    [receive {P, M} when is_pid(P) -> ?assertEqual(N, M) end || N <- Ns].

one_sender(Config) ->
    echoed(echo(Config), lists:seq(1, 100000)).

several_senders(Config) ->
    in_parallel(8, fun(I) ->
                           echoed(echo(Config),
                                  [{I, N} || N <- lists:seq(1, 10000)])
                   end).

in_parallel(Count, Fun) ->
    All = [spawn_monitor(fun() -> Fun(I) end) || I <- lists:seq(1, Count)],
    [receive {'DOWN', Ref, process, Pid, Reason} ->
             ?assertEqual(normal, Reason) end || {Pid, Ref} <- All].

%% The call is behind the messages of its own sender only.
sink_several_senders(Config) ->
    Sink = {sink, ?config(node, Config)},
    gen_server:cast(Sink, reset),
    {count, 0, _} = gen_server:call(Sink, count, ?WAIT),
    in_parallel(10, fun(I) ->
                            [Sink ! {I, N} || N <- lists:seq(1, 10000)],
                            gen_server:call(Sink, count, ?WAIT)
                    end),
    ?assertMatch({count, 100000, _}, gen_server:call(Sink, count, ?WAIT)).

%% Small messages must not overtake fragmented ones, of one sender or of many.
sizes_mixed(Config) ->
    Sizes = [1, 70000, 10, 65536, 65530, 0, 300000, 3, 200000, 65537],
    in_parallel(6, fun(I) ->
                           echoed(echo(Config),
                                  [{I, N, <<I:(8 * S)>>}
                                   || N <- lists:seq(1, 10), S <- Sizes])
                   end).

binary_1_mb(Config) ->
    echo_binary(Config, 1 bsl 20).

binary_16_mb(Config) ->
    echo_binary(Config, 1 bsl 24).

echo_binary(Config, Size) ->
    Bin = crypto:strong_rand_bytes(Size),
    ?assert(Bin =:= erpc:call(?config(node, Config), cnode, echo, [Bin])),
    ?assert({ok, Bin} =:= gen_server:call(echo(Config), Bin, ?WAIT)).

binary_16_mb_message(Config) ->
    Bin = crypto:strong_rand_bytes(1 bsl 24),
    [echo(Config) ! {self(), {N, Bin}} || N <- [1, 2, 3]],
    echo(Config) ! {self(), last},
    [receive {_, {N, B}} -> ?assert(B =:= Bin) end || N <- [1, 2, 3]],
    receive {_, M} -> ?assertEqual(last, M) end.

%% Many large ones in both directions at the same time, and small calls between.
many_big_at_once(Config) ->
    Node = ?config(node, Config),
    Big = binary:copy(<<"0123456789abcdef">>, 1 bsl 16),
    in_parallel(12, fun(I) when I rem 2 =:= 0 ->
                            [?assert({I, Big} =:=
                                         erpc:call(Node, cnode, echo,
                                                   [{I, Big}]))
                             || _ <- lists:seq(1, 5)];
                       (I) ->
                            [?assertEqual({ok, {I, N}},
                                          gen_server:call({echo, Node}, {I, N},
                                                          ?WAIT))
                             || N <- lists:seq(1, 50)]
                    end).

%% Its last words come before its end.
messages_before_exit(Config) ->
    {Pid, Ref} = spawn_monitor(?config(node, Config), cnode, loop, []),
    [Pid ! {self(), N} || N <- lists:seq(1, 1000)],
    Pid ! {exit, over},
    [receive M -> ?assertEqual({Pid, N}, M) end || N <- lists:seq(1, 1000)],
    receive M -> ?assertEqual({'DOWN', Ref, process, Pid, over}, M) end.

messages_before_link_exit(Config) ->
    Pid = spawn_link(?config(node, Config), cnode, loop, []),
    Big = <<7:1600000>>,
    [Pid ! {self(), {N, Big}} || N <- lists:seq(1, 20)],
    Pid ! {exit, over},
    [receive {Pid, {M, _}} -> ?assertEqual(N, M) end || N <- lists:seq(1, 20)],
    receive M -> ?assertEqual({'EXIT', Pid, over}, M) end.

%% After the DOWN nothing comes any more.
messages_then_kill(Config) ->
    {Pid, Ref} = spawn_monitor(?config(node, Config), cnode, loop, []),
    [Pid ! {self(), N} || N <- lists:seq(1, 1000)],
    exit(Pid, kill),
    Echoed = until_down(Ref),
    ?assertEqual(lists:seq(1, length(Echoed)), Echoed),
    {ok, _} = gen_server:call(echo(Config), barrier, ?WAIT),
    ?assertEqual([], cnode_test:flush()).

until_down(Ref) ->
    receive
        {'DOWN', Ref, process, _, killed} -> [];
        {_, N} -> [N | until_down(Ref)]
    end.

%% Monitors, messages and demonitors of one process, in the order they were
%% made: the exit in the middle is seen by the monitors before it only.
monitor_then_messages(Config) ->
    [begin
         Pid = spawn(?config(node, Config), cnode, loop, []),
         Before = monitor(process, Pid),
         Pid ! {self(), N},
         Pid ! {exit, N},
         receive M -> ?assertEqual({Pid, N}, M) end,
         receive D -> ?assertEqual({'DOWN', Before, process, Pid, N}, D) end,
         After = monitor(process, Pid),
         receive E -> ?assertEqual({'DOWN', After, process, Pid, noproc}, E) end
     end || N <- lists:seq(1, 200)].

casts_and_calls(Config) ->
    Sink = {sink, ?config(node, Config)},
    gen_server:cast(Sink, reset),
    [begin
         [Sink ! {N, M} || M <- lists:seq(1, 10)],
         ?assertMatch({count, C, _} when C =:= 10 * N,
                      gen_server:call(Sink, count, ?WAIT))
     end || N <- lists:seq(1, 300)].

processes_end_in_order(Config) ->
    All = [spawn_monitor(?config(node, Config), cnode, loop, [])
           || _ <- lists:seq(1, 1000)],
    [Pid ! {exit, {my, Pid}} || {Pid, _} <- All],
    [receive {'DOWN', Ref, process, Pid, R} -> ?assertEqual({my, Pid}, R) end
     || {Pid, Ref} <- All].

%% ------------------------------------------------------------ torn down at once

links_torn_down(_) ->
    Serve = #{node := Node} = cnode_test:serve(#{}),
    Hub = spawn(Node, cnode, loop, []),
    Me = self(),
    Linked = [spawn_link(fun() ->
                                 process_flag(trap_exit, true),
                                 link(Hub),
                                 Mine = spawn_link(Node, cnode, loop, []),
                                 Me ! {self(), linked},
                                 both_exits(lists:sort([Hub, Mine]))
                         end) || _ <- lists:seq(1, 1000)],
    [receive {P, linked} -> ok end || P <- Linked],
    cnode_test:kill9(Serve),
    [receive {'EXIT', P, R} -> ?assertEqual(normal, R) end || P <- Linked].

both_exits([]) -> ok;
both_exits(Pids) ->
    receive {'EXIT', P, noconnection} ->
            true = lists:member(P, Pids),
            both_exits(lists:delete(P, Pids))
    end.

monitors_torn_down(_) ->
    Serve = #{node := Node} = cnode_test:serve(#{}),
    Hub = spawn(Node, cnode, loop, []),
    Each = [spawn_monitor(Node, cnode, loop, []) || _ <- lists:seq(1, 1000)],
    OnHub = [{Hub, monitor(process, Hub)} || _ <- lists:seq(1, 1000)],
    Name = {echo, Node},
    OnName = [{Name, monitor(process, Name)} || _ <- lists:seq(1, 1000)],
    {ok, _} = gen_server:call(Name, barrier, ?WAIT),
    cnode_test:kill9(Serve),
    [receive {'DOWN', Ref, process, Object, R} ->
             ?assertEqual({Object, noconnection}, {O, R}) end
     || {O, Ref} <- Each ++ OnHub ++ OnName].
