%% SPDX-License-Identifier: Apache-2.0
%%
%% The reference node of doc/cli.md, row by row, seen from Erlang: everything
%% once against a hidden `cnode serve` and once against a visible one.
-module(serve_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1, expect/1, flush/0]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [{group, hidden}, {group, visible}, {group, own}].

groups() ->
    [{hidden, [], common() ++ [hidden_lists]},
     {visible, [], common() ++ visible()},
     {own, [], own()}].

common() ->
    [registered_with_epmd, ping, node_monitors, unknown_node_of_node,
     echo_message, echo_call, echo_unknown_dropped, sink_counts,
     mortal_restarts, mortal_reasons, mortal_link, mortal_unlink,
     mortal_link_to_dead, mortal_exit_signal, mortal_killed,
     mortal_monitor_pid, mortal_monitor_name, mortal_monitor_noproc,
     mortal_spawn_link, mortal_spawn_link_no_node, mortal_peer_dies,
     echo_terms, echo_terms_messages, echo_big_binary, echo_identity,
     add, info, sleep_concurrent, fail, undef, fun_refused,
     erpc_timeout, erpc_timeout_leaves_nothing, erpc_cast, erpc_requests,
     erpc_multicall, rpc_multicall, rpc_cast, rpc_async, rpc_timeout,
     rex_block_call, rex_sbcast, rex_abcast, rex_legacy_call, rex_send,
     rex_features,
     loop_spawn, loop_exit_signals, loop_spawn_link, loop_unlink,
     loop_spawn_monitor, loop_spawn_request, loop_spawn_request_no_reply,
     loop_spawn_opt, loop_alias, loop_tag, loop_bad_option, spawn_undef,
     spawn_wrong_arity, demonitor_is_silent, many_monitors_one_pid,
     unknown_name, unknown_pid, gen_forms, multi_call, send_request,
     gen_event_forms, call_timeout_no_garbage,
     reconnect_after_disconnect].

visible() ->
    [visible_lists, global_sync, global_register, global_lock,
     global_lock_released, global_two_nodes, pg_unharmed].

own() ->
    [kill_9_hidden, kill_9_visible, old_incarnation, stop_is_noconnection,
     sigint, end_of_stdin, connects, connects_to_many, name_freed,
     ready_is_one_line, options_in_any_place, two_serves].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_group(own, Config) ->
    Config;
init_per_group(Group, Config) ->
    Serve = cnode_test:serve(#{visible => Group =:= visible, global => ["-v"]}),
    [{serve, Serve}, {node, maps:get(node, Serve)} | Config].

end_per_group(own, _) ->
    ok;
end_per_group(_, Config) ->
    cnode_test:stop(?config(serve, Config)).

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

%% Whatever a case did, the node has to be there after it.
end_per_testcase(_, Config) ->
    case ?config(node, Config) of
        undefined -> ok;
        Node -> ?assertEqual({ok, alive}, gen_server:call({echo, Node}, alive,
                                                          ?WAIT))
    end.

%% ------------------------------------------------------------ being a node

registered_with_epmd(Config) ->
    #{port := Port} = ?config(serve, Config),
    [Short, _] = string:split(atom_to_list(?config(node, Config)), "@"),
    ?assertEqual({Short, Port},
                 lists:keyfind(Short, 1, cnode_test:epmd_names())).

ping(Config) ->
    [?assertEqual(pong, net_adm:ping(?config(node, Config)))
     || _ <- lists:seq(1, 10)].

hidden_lists(Config) ->
    Node = ?config(node, Config),
    pong = net_adm:ping(Node),
    ?assert(lists:member(Node, nodes(hidden))),
    ?assert(lists:member(Node, nodes(connected))),
    ?assertNot(lists:member(Node, nodes())),
    ?assertEqual(hidden, node_type(Node)).

visible_lists(Config) ->
    Node = ?config(node, Config),
    pong = net_adm:ping(Node),
    ?assert(lists:member(Node, nodes())),
    ?assertNot(lists:member(Node, nodes(hidden))),
    ?assertEqual(normal, node_type(Node)).

node_type(Node) ->
    {ok, All} = net_kernel:nodes_info(),
    {_, Info} = lists:keyfind(Node, 1, All),
    proplists:get_value(type, Info).

node_monitors(Config) ->
    Node = ?config(node, Config),
    pong = net_adm:ping(Node),
    true = monitor_node(Node, true),
    ok = net_kernel:monitor_nodes(true, [nodedown_reason, {node_type, all}]),
    true = erlang:disconnect_node(Node),
    receive {nodedown, Node} -> ok end,
    receive {nodedown, Node, _} -> ok end,
    pong = net_adm:ping(Node),
    receive {nodeup, Node, _} -> ok end,
    ok = net_kernel:monitor_nodes(false, [nodedown_reason, {node_type, all}]).

unknown_node_of_node(Config) ->
    {Pid, _} = echo_pid(Config),
    ?assertEqual(?config(node, Config), node(Pid)).

reconnect_after_disconnect(Config) ->
    Node = ?config(node, Config),
    [begin
         true = erlang:disconnect_node(Node),
         wait_until(fun() -> net_adm:ping(Node) =:= pong end),
         ?assertEqual({ok, N}, gen_server:call({echo, Node}, N, ?WAIT))
     end || N <- lists:seq(1, 10)].

%% -------------------------------------------------------------- echo, sink

echo_message(Config) ->
    Node = ?config(node, Config),
    {echo, Node} ! {self(), {hello, [1, 2, 3]}},
    Pid = receive {P, {hello, [1, 2, 3]}} -> P end,
    Pid ! {self(), again},
    expect({Pid, again}).

echo_pid(Config) ->
    Tag = make_ref(),
    {echo, ?config(node, Config)} ! {self(), Tag},
    receive {Pid, Tag} -> {Pid, Tag} end.

echo_call(Config) ->
    Node = ?config(node, Config),
    {Pid, _} = echo_pid(Config),
    ?assertEqual({ok, #{a => 1}}, gen_server:call({echo, Node}, #{a => 1},
                                                  ?WAIT)),
    ?assertEqual({ok, [x | y]}, gen_server:call(Pid, [x | y], ?WAIT)),
    ?assertEqual({ok, inf}, gen_server:call(Pid, inf, infinity)),
    ?assertEqual([], flush()).

echo_unknown_dropped(Config) ->
    Node = ?config(node, Config),
    [{echo, Node} ! M || M <- [x, {}, {x}, {x, y}, {1, 2, 3}, [], "text",
                               {'$gen_cast', x}, {'$gen_call', x},
                               {'$gen_call', x, y}, {'$gen_call', {x, y}, z},
                               {make_ref(), x}, {system, x, y}, #{}, <<>>,
                               {'EXIT', self(), x}, {notify, x}]],
    ?assertEqual({ok, still}, gen_server:call({echo, Node}, still, ?WAIT)).

sink_counts(Config) ->
    Sink = {sink, ?config(node, Config)},
    gen_server:cast(Sink, reset),
    ?assertEqual({count, 0, 0}, gen_server:call(Sink, count, ?WAIT)),
    [Sink ! <<N:8000>> || N <- lists:seq(1, 100)],
    {count, 100, Bytes} = gen_server:call(Sink, count, ?WAIT),
    %% with or without the version byte
    ?assert(lists:member(Bytes, [100 * 1005, 100 * 1006])),
    gen_server:cast(Sink, reset),
    ?assertEqual({count, 0, 0}, gen_server:call(Sink, count, ?WAIT)).

%% ------------------------------------------------------------------ mortal

mortal(Config) ->
    {mortal, ?config(node, Config)}.

%% Links with mortal and tells its pid.
linked_mortal(Config) ->
    wait_until(fun() ->
                       mortal(Config) ! {link, self()},
                       link_to(?config(node, Config))
               end).

link_to(Node) ->
    {links, Links} = process_info(self(), links),
    case [P || P <- Links, is_pid(P), node(P) =:= Node] of
        [] -> false;
        [Pid | _] -> Pid
    end.

mortal_restarts(Config) ->
    One = linked_mortal(Config),
    mortal(Config) ! {exit, {first, end_}},
    expect({'EXIT', One, {first, end_}}),
    Two = linked_mortal(Config),
    ?assertNotEqual(One, Two),
    mortal(Config) ! {exit, second},
    expect({'EXIT', Two, second}).

%% Monitors by name and by pid, and a link, all tell the same reason.
mortal_reasons(Config) ->
    Mortal = mortal(Config),
    [begin
         Pid = linked_mortal(Config),
         ByName = monitor(process, Mortal),
         ByPid = monitor(process, Pid),
         Pid ! {exit, Reason},
         receive {'DOWN', ByName, process, Mortal, R1} ->
                 ?assertEqual(Reason, R1) end,
         receive {'DOWN', ByPid, process, Pid, R2} ->
                 ?assertEqual(Reason, R2) end,
         receive {'EXIT', Pid, R3} -> ?assertEqual(Reason, R3) end
     end || Reason <- [normal, shutdown, kill, {a, "tuple", #{x => 1.5}},
                       {shutdown, <<"why">>}, 1 bsl 70]],
    ?assertEqual([], flush()).

%% A link whose other end dies: mortal traps exits and tells.
mortal_link(Config) ->
    Pid = linked_mortal(Config),
    Other = cnode_test:alive_process([]),
    Pid ! {link, Other},
    wait_until(fun() -> {links, [Pid]} =:= process_info(Other, links) end),
    Other ! {exit, {its, reason}},
    expect({'EXIT', Other, {its, reason}}),
    ?assertEqual(Pid, linked_mortal(Config)),
    unlink(Pid).

mortal_unlink(Config) ->
    Pid = linked_mortal(Config),
    Pid ! {unlink, self()},
    wait_until(fun() -> link_to(node(Pid)) =:= false end),
    Pid ! {exit, unseen},
    Again = linked_mortal(Config),
    ?assertNotEqual(Pid, Again),
    ?assertEqual([], flush()),
    unlink(Again).

mortal_link_to_dead(Config) ->
    Dead = cnode_test:dead_pid(),
    Pid = linked_mortal(Config),
    Pid ! {link, Dead},
    expect({'EXIT', Dead, noproc}),
    unlink(Pid).

mortal_exit_signal(Config) ->
    Pid = linked_mortal(Config),
    exit(Pid, {just, a, signal}),
    expect({'EXIT', self(), {just, a, signal}}),
    unlink(Pid).

mortal_killed(Config) ->
    Pid = linked_mortal(Config),
    exit(Pid, kill),
    expect({'EXIT', Pid, killed}),
    unlink(linked_mortal(Config)).

mortal_monitor_pid(Config) ->
    Pid = linked_mortal(Config),
    Other = cnode_test:alive_process([]),
    Pid ! {monitor, process, Other},
    wait_until(fun() ->
                       {monitored_by, [Pid]} =:=
                           process_info(Other, monitored_by)
               end),
    Other ! {exit, gone},
    receive {'DOWN', Ref, process, Other, gone} when is_reference(Ref) -> ok end,
    unlink(Pid).

mortal_monitor_name(Config) ->
    Pid = linked_mortal(Config),
    Other = cnode_test:alive_process([]),
    register(some_name, Other),
    Pid ! {monitor, process, {some_name, node()}},
    wait_until(fun() ->
                       {monitored_by, []} =/= process_info(Other, monitored_by)
               end),
    Other ! {exit, gone},
    Object = {some_name, node()},
    receive {'DOWN', _, process, Object, gone} -> ok end,
    unlink(Pid).

mortal_monitor_noproc(Config) ->
    Pid = linked_mortal(Config),
    Object = {no_such_name, node()},
    Pid ! {monitor, process, Object},
    receive {'DOWN', _, process, Object, noproc} -> ok end,
    Dead = cnode_test:dead_pid(),
    Pid ! {monitor, process, Dead},
    receive {'DOWN', _, process, Dead, noproc} -> ok end,
    unlink(Pid).

%% What mortal starts here can print (or is refused), and its end is told.
mortal_spawn_link(Config) ->
    Pid = linked_mortal(Config),
    Pid ! {spawn_link, node(), cnode_test, report, [self()]},
    Child = receive {C, started} -> C end,
    receive {Child, printed, _} -> ok after ?WAIT -> error(print_hangs) end,
    ?assertEqual({links, [Pid]}, process_info(Child, links)),
    Child ! {exit, over},
    expect({'EXIT', Child, over}),
    unlink(Pid).

mortal_spawn_link_no_node(Config) ->
    Pid = linked_mortal(Config),
    Pid ! {spawn_link, cnode_test:unique_node("none"), m, f, []},
    receive {'EXIT', Other, noconnection} when is_pid(Other) -> ok end,
    unlink(Pid).

%% Another node with which mortal is linked and which it monitors goes away.
mortal_peer_dies(Config) ->
    Pid = linked_mortal(Config),
    {Peer, Node} = cnode_test:start_peer(#{}),
    Far = peer:call(Peer, cnode_test, mailbox, [far], ?WAIT),
    Pid ! {link, Far},
    Pid ! {monitor, process, Far},
    Pid ! {monitor, process, {far, Node}},
    wait_until(fun() ->
                       {_, L} = peer:call(Peer, erlang, process_info,
                                          [Far, monitored_by], ?WAIT),
                       length(L) =:= 2
               end),
    peer:cast(Peer, erlang, halt, [0, [{flush, false}]]),
    receive {'EXIT', Far, noconnection} -> ok end,
    receive {'DOWN', _, process, Far, noconnection} -> ok end,
    receive {'DOWN', _, process, {far, Node}, noconnection} -> ok end,
    cnode_test:stop_peer(Peer),
    unlink(Pid).

%% --------------------------------------------------------------- functions

echo_terms(Config) ->
    Node = ?config(node, Config),
    Terms = cnode_test:terms(),
    [same(T, erpc:call(Node, cnode, echo, [T])) || T <- Terms],
    same(Terms, erpc:call(Node, cnode, echo, [Terms])),
    same(Terms, rpc:call(Node, cnode, echo, [Terms])).

echo_terms_messages(Config) ->
    {Pid, _} = echo_pid(Config),
    Terms = cnode_test:terms(),
    [Pid ! {self(), T} || T <- Terms],
    [receive {Pid, R} -> same(T, R) end || T <- Terms],
    [?assertEqual({ok, T}, gen_server:call(Pid, T, ?WAIT)) || T <- Terms].

%% =:= does not see everything: -0.0 on OTP 25.
same(T, R) ->
    ?assert(T =:= R, T),
    ?assertEqual(term_to_binary(T), term_to_binary(R)).

echo_big_binary(Config) ->
    Bin = crypto:strong_rand_bytes(1 bsl 20),
    ?assert(Bin =:= erpc:call(?config(node, Config), cnode, echo, [Bin])).

%% Identifiers that were away still work.
echo_identity(Config) ->
    Node = ?config(node, Config),
    Ref = monitor(process, Pid = cnode_test:alive_process([])),
    Alias = alias(),
    {P, A, F} = erpc:call(Node, cnode, echo, [{Pid, Alias, fun() -> Ref end}]),
    A ! aliased,
    expect(aliased),
    unalias(Alias),
    ?assertEqual(Ref, F()),
    P ! {exit, bye},
    expect({'DOWN', Ref, process, Pid, bye}).

add(Config) ->
    Node = ?config(node, Config),
    Numbers = [0, 1, -1, 255, -256, 1 bsl 31, -(1 bsl 31), (1 bsl 59) - 1,
               (1 bsl 63) - 1, -(1 bsl 63), (1 bsl 64) - 1, 1 bsl 64,
               -(1 bsl 64), 1 bsl 2040, -(1 bsl 2040), (1 bsl 5000) - 1],
    [?assertEqual(A + B, erpc:call(Node, cnode, add, [A, B]))
     || A <- Numbers, B <- Numbers],
    ?assertError({exception, _, _}, erpc:call(Node, cnode, add, [a, 1])),
    ?assertError({exception, _, _}, erpc:call(Node, cnode, add, [1, "1"])).

info(Config) ->
    #{os_pid := OsPid} = ?config(serve, Config),
    Node = ?config(node, Config),
    Info = erpc:call(Node, cnode, info, []),
    #{name := Node, version := _, os_pid := OsPid, uptime_ms := Up,
      connections := Connections, processes := Processes, messages_in := In,
      messages_out := Out} = Info,
    ?assert(is_integer(Up) andalso Up > 0),
    ?assert(Connections >= 1),
    ?assert(Processes >= 3),
    ?assert(is_integer(In) andalso is_integer(Out)).

%% Sleepers hold up neither each other nor anybody else: those who sleep for
%% long, and were there first, still do when all others have been answered.
sleep_concurrent(Config) ->
    Node = ?config(node, Config),
    [Long, Short] = [[erpc:send_request(Node, cnode, sleep, [Ms])
                      || _ <- lists:seq(1, 50)] || Ms <- [10 * ?WAIT, 600]],
    ?assertEqual({ok, quick}, gen_server:call({echo, Node}, quick, ?WAIT)),
    [?assertEqual(ok, erpc:receive_response(R, ?WAIT)) || R <- Short],
    ?assertEqual(ok, erpc:call(Node, cnode, sleep, [0])),
    [?assertEqual(no_response, erpc:wait_response(R, 0)) || R <- Long].

fail(Config) ->
    Node = ?config(node, Config),
    ?assertError({exception, {my, "reason"}, [{_, _, _, _} | _]},
                 erpc:call(Node, cnode, fail, [{my, "reason"}])),
    ?assertMatch({badrpc, {'EXIT', {{my, "reason"}, [_ | _]}}},
                 rpc:call(Node, cnode, fail, [{my, "reason"}])).

undef(Config) ->
    Node = ?config(node, Config),
    Calls = [{no_such, function, [1, 2]}, {cnode, no_such, []},
             {cnode, echo, []}, {cnode, echo, [1, 2]}],
    [begin
         Undef = [{M, F, A, []}],
         ?assertError({exception, undef, [Top | _]} when [Top] =:= Undef,
                      erpc:call(Node, M, F, A)),
         ?assertMatch({badrpc, {'EXIT', {undef, [_ | _]}}},
                      rpc:call(Node, M, F, A))
     end || {M, F, A} <- Calls].

%% Code cannot be sent to it; the caller has to be told, not left waiting.
fun_refused(Config) ->
    Node = ?config(node, Config),
    Me = self(),
    Fun = fun() -> Me ! ran end,
    ?assert(fails(fun() -> erpc:call(Node, Fun, ?WAIT) end)),
    {_, Ref} = spawn_monitor(Node, Fun),
    receive {'DOWN', Ref, process, _, Reason} ->
            ?assertNotEqual(normal, Reason) end,
    ?assertEqual([], flush()).

%% An Erlang node that has this code would run it: true for it as well.
fails(Fun) ->
    try Fun() of Value -> error({returned, Value})
    catch error:{exception, Reason, _} when Reason =/= timeout -> true
    end.

erpc_timeout(Config) ->
    Node = ?config(node, Config),
    ?assertError({erpc, timeout}, erpc:call(Node, cnode, sleep, [60000], 100)),
    ?assertEqual(ok, erpc:call(Node, cnode, sleep, [1], ?WAIT)),
    ?assertEqual([], flush()).

%% Calls that nobody waits for any more are given up, not kept.
%% As from Erlang, the function runs to its end; then nothing is left of it.
erpc_timeout_leaves_nothing(Config) ->
    Node = ?config(node, Config),
    Processes = fun() -> maps:get(processes,
                                  erpc:call(Node, cnode, info, [])) end,
    Before = Processes(),
    [?assertError({erpc, timeout},
                  erpc:call(Node, cnode, sleep, [1000], 5))
     || _ <- lists:seq(1, 20)],
    wait_until(fun() -> Processes() =< Before + 1 end).

erpc_cast(Config) ->
    Node = ?config(node, Config),
    ?assertEqual(ok, erpc:cast(Node, cnode, echo, [x])),
    ?assertEqual(ok, erpc:cast(Node, no_such, function, [x])),
    ?assertEqual(ok, erpc:cast(Node, cnode, fail, [x])),
    ?assertEqual(ok, erpc:multicast([Node, node()], cnode, echo, [x])).

erpc_requests(Config) ->
    Node = ?config(node, Config),
    R1 = erpc:send_request(Node, cnode, echo, [one]),
    ?assertEqual({response, one}, erpc:wait_response(R1, ?WAIT)),
    Reqs = lists:foldl(
             fun(N, Acc) ->
                     erpc:send_request(Node, cnode, add, [N, N], N, Acc)
             end, erpc:reqids_new(), lists:seq(1, 50)),
    collect(Reqs, lists:seq(1, 50)).

collect(Reqs, []) ->
    ?assertEqual(no_request, erpc:receive_response(Reqs, ?WAIT, true));
collect(Reqs, Left) ->
    {Sum, N, Rest} = erpc:receive_response(Reqs, ?WAIT, true),
    ?assertEqual(2 * N, Sum),
    collect(Rest, lists:delete(N, Left)).

erpc_multicall(Config) ->
    Node = ?config(node, Config),
    None = cnode_test:unique_node("none"),
    ?assertEqual([{ok, 3}, {error, {erpc, noconnection}}, {ok, 3}],
                 erpc:multicall([Node, None, Node], cnode, add, [1, 2])),
    [{error, {exception, why, [_ | _]}}] =
        erpc:multicall([Node], cnode, fail, [why]),
    [{error, {erpc, timeout}}] =
        erpc:multicall([Node], cnode, sleep, [60000], 50).

rpc_multicall(Config) ->
    Node = ?config(node, Config),
    None = cnode_test:unique_node("none"),
    ?assertEqual({[3, 3], [None]},
                 rpc:multicall([Node, None, Node], cnode, add, [1, 2])).

rpc_cast(Config) ->
    Node = ?config(node, Config),
    ?assertEqual(true, rpc:cast(Node, cnode, echo, [x])),
    ?assertEqual(true, rpc:cast(Node, no_such, function, [x])),
    rpc:eval_everywhere([Node], cnode, echo, [x]).

rpc_async(Config) ->
    Node = ?config(node, Config),
    Key = rpc:async_call(Node, cnode, sleep, [50]),
    ?assertEqual(7, rpc:call(Node, cnode, add, [3, 4])),
    ?assertEqual(ok, rpc:yield(Key)).

rpc_timeout(Config) ->
    Node = ?config(node, Config),
    ?assertEqual({badrpc, timeout},
                 rpc:call(Node, cnode, sleep, [60000], 50)).

%% --------------------------------------------------------------------- rex

rex_block_call(Config) ->
    Node = ?config(node, Config),
    ?assertEqual(5, rpc:block_call(Node, cnode, add, [2, 3])),
    ?assertMatch({badrpc, {'EXIT', {undef, _}}},
                 rpc:block_call(Node, no_such, function, [])),
    ?assertMatch({badrpc, {'EXIT', {why, _}}},
                 rpc:block_call(Node, cnode, fail, [why])).

rex_sbcast(Config) ->
    Node = ?config(node, Config),
    gen_server:cast({sink, Node}, reset),
    ?assertEqual({[Node], []}, rpc:sbcast([Node], sink, one)),
    ?assertMatch({count, 1, _}, gen_server:call({sink, Node}, count, ?WAIT)),
    ?assertEqual({[], [Node]}, rpc:sbcast([Node], no_such_name, one)).

rex_abcast(Config) ->
    Node = ?config(node, Config),
    gen_server:cast({sink, Node}, reset),
    ?assertEqual(abcast, rpc:abcast([Node], sink, one)),
    ?assertEqual(abcast, gen_server:abcast([Node], sink, two)),
    ?assertMatch({count, 2, _}, gen_server:call({sink, Node}, count, ?WAIT)).

rex_legacy_call(Config) ->
    {rex, ?config(node, Config)} !
        {self(), {call, cnode, add, [20, 3], group_leader()}},
    expect({rex, 23}).

rex_send(Config) ->
    {Pid, _} = echo_pid(Config),
    {rex, node(Pid)} ! {self(), {send, echo, through_rex}},
    expect({Pid, through_rex}).

rex_features(Config) ->
    Node = ?config(node, Config),
    {rex, Node} ! {self(), features_request},
    receive {features_reply, Node, L} -> ?assert(lists:member(erpc, L)) end.

%% -------------------------------------------------------------------- loop

answers(Pid) ->
    Tag = make_ref(),
    Pid ! {self(), Tag},
    receive {Pid, Tag} -> ok after ?WAIT -> error({silent, Pid}) end,
    ?assertEqual({ok, Tag}, gen_server:call(Pid, Tag, ?WAIT)).

loop_spawn(Config) ->
    Pid = spawn(?config(node, Config), cnode, loop, []),
    answers(Pid),
    Ref = monitor(process, Pid),
    Pid ! {exit, {enough, 1}},
    expect({'DOWN', Ref, process, Pid, {enough, 1}}).

%% It does not trap exits: any reason but normal ends it.
loop_exit_signals(Config) ->
    Node = ?config(node, Config),
    [begin
         {Pid, Ref} = spawn_monitor(Node, cnode, loop, []),
         exit(Pid, normal),
         answers(Pid),
         exit(Pid, Reason),
         expect({'DOWN', Ref, process, Pid, Seen})
     end || {Reason, Seen} <- [{kill, killed}, {shutdown, shutdown},
                               {{why, not_}, {why, not_}}]],
    {Pid, Ref} = spawn_monitor(Node, cnode, loop, []),
    Parent = spawn(fun() -> link(Pid), exit({parent, gone}) end),
    ?assert(is_pid(Parent)),
    expect({'DOWN', Ref, process, Pid, {parent, gone}}).

loop_spawn_link(Config) ->
    Node = ?config(node, Config),
    Pid = spawn_link(Node, cnode, loop, []),
    answers(Pid),
    Pid ! {exit, "linked"},
    expect({'EXIT', Pid, "linked"}),
    Me = self(),
    Parent = spawn(fun() ->
                           P = spawn_link(Node, cnode, loop, []),
                           Me ! {child, P},
                           receive {exit, R} -> exit(R) end
                   end),
    Child = receive {child, C} -> C end,
    Ref = monitor(process, Child),
    Parent ! {exit, {parent, died}},
    expect({'DOWN', Ref, process, Child, {parent, died}}).

loop_unlink(Config) ->
    Pid = spawn_link(?config(node, Config), cnode, loop, []),
    true = unlink(Pid),
    true = link(Pid),
    true = unlink(Pid),
    Ref = monitor(process, Pid),
    Pid ! {exit, quietly},
    expect({'DOWN', Ref, process, Pid, quietly}),
    ?assertEqual([], flush()).

loop_spawn_monitor(Config) ->
    {Pid, Ref} = spawn_monitor(?config(node, Config), cnode, loop, []),
    answers(Pid),
    Pid ! {exit, normal},
    expect({'DOWN', Ref, process, Pid, normal}).

loop_spawn_request(Config) ->
    Node = ?config(node, Config),
    Req = spawn_request(Node, cnode, loop, [],
                        [link, monitor, {reply_tag, started}]),
    Pid = receive {started, Req, ok, P} -> P end,
    answers(Pid),
    Pid ! {exit, both},
    receive {'EXIT', Pid, both} -> ok end,
    receive {'DOWN', Req, process, Pid, both} -> ok end,
    Plain = spawn_request(Node, cnode, loop, []),
    Pid2 = receive {spawn_reply, Plain, ok, P2} -> P2 end,
    answers(Pid2),
    exit(Pid2, kill).

loop_spawn_request_no_reply(Config) ->
    Node = ?config(node, Config),
    Req = spawn_request(Node, cnode, loop, [], [monitor, {reply, no}]),
    erlang:spawn_request_abandon(Req),
    spawn_request(Node, cnode, loop, [], [{reply, error_only}]),
    {Pid, _} = echo_pid(Config),
    answers(Pid),
    ?assertEqual([], flush()).

loop_spawn_opt(Config) ->
    Node = ?config(node, Config),
    Opts = [link, monitor, {priority, low}, {fullsweep_after, 3},
            {min_heap_size, 1000}, {min_bin_vheap_size, 1000},
            {max_heap_size, 100000000}, {message_queue_data, off_heap}],
    {Pid, Ref} = spawn_opt(Node, cnode, loop, [], Opts),
    answers(Pid),
    Pid ! {exit, opt},
    receive {'EXIT', Pid, opt} -> ok end,
    receive {'DOWN', Ref, process, Pid, opt} -> ok end.

loop_alias(Config) ->
    Node = ?config(node, Config),
    {Pid, Ref} = spawn_opt(Node, cnode, loop, [],
                           [{monitor, [{alias, explicit_unalias}]}]),
    {echo, Node} ! {self(), Ref},
    receive {_, Ref} -> ok end,
    Ref ! over_the_alias,
    expect(over_the_alias),
    Pid ! {exit, x},
    expect({'DOWN', Ref, process, Pid, x}),
    unalias(Ref).

loop_tag(Config) ->
    {Pid, Ref} = spawn_opt(?config(node, Config), cnode, loop, [],
                           [{monitor, [{tag, {my, tag}}]}]),
    Pid ! {exit, x},
    expect({{my, tag}, Ref, process, Pid, x}).

loop_bad_option(Config) ->
    Node = ?config(node, Config),
    Req = spawn_request(Node, cnode, loop, [], [{no_such_option, 1}]),
    receive {spawn_reply, Req, error, badopt} -> ok end,
    ?assertError(badarg, spawn_opt(Node, cnode, loop, [], [bad_option])).

spawn_undef(Config) ->
    Node = ?config(node, Config),
    {Pid, Ref} = spawn_monitor(Node, no_such, function, [1, a]),
    receive {'DOWN', Ref, process, Pid, {undef, [Top | _]}} ->
            ?assertEqual({no_such, function, [1, a], []}, Top) end,
    Linked = spawn_link(Node, no_such, function, []),
    receive {'EXIT', Linked, {undef, [{no_such, function, [], _} | _]}} ->
            ok end,
    ?assert(is_pid(spawn(Node, no_such, function, []))).

spawn_wrong_arity(Config) ->
    {Pid, Ref} = spawn_monitor(?config(node, Config), cnode, loop, [1]),
    receive {'DOWN', Ref, process, Pid, {undef, [{cnode, loop, [1], _} | _]}} ->
            ok end.

demonitor_is_silent(Config) ->
    {Pid, Ref} = spawn_monitor(?config(node, Config), cnode, loop, []),
    Other = monitor(process, Pid),
    demonitor(Ref),
    Pid ! {exit, seen_once},
    expect({'DOWN', Other, process, Pid, seen_once}),
    ?assertEqual([], flush()).

many_monitors_one_pid(Config) ->
    Pid = spawn(?config(node, Config), cnode, loop, []),
    Refs = [monitor(process, Pid) || _ <- lists:seq(1, 500)],
    {Kept, Dropped} = lists:split(250, Refs),
    [demonitor(R) || R <- Dropped],
    Pid ! {exit, all},
    [receive {'DOWN', R, process, Pid, all} -> ok end || R <- Kept],
    ?assertEqual([], flush()).

%% ------------------------------------------------- what is not there, gen_*

unknown_name(Config) ->
    Node = ?config(node, Config),
    Name = {no_such_name, Node},
    Name ! dropped,
    ?assertExit({noproc, _}, gen_server:call(Name, x, ?WAIT)),
    ?assertExit({noproc, _}, gen_server:call(Name, x, infinity)),
    ?assertEqual(ok, gen_server:cast(Name, x)),
    Ref = monitor(process, Name),
    expect({'DOWN', Ref, process, Name, noproc}).

unknown_pid(Config) ->
    {Pid, Ref} = spawn_monitor(?config(node, Config), cnode, loop, []),
    Pid ! {exit, normal},
    expect({'DOWN', Ref, process, Pid, normal}),
    Pid ! dropped,
    exit(Pid, kill),
    Again = monitor(process, Pid),
    expect({'DOWN', Again, process, Pid, noproc}),
    ?assertExit({noproc, _}, gen_server:call(Pid, x, ?WAIT)),
    link(Pid),
    expect({'EXIT', Pid, noproc}),
    unlink(Pid).

gen_forms(Config) ->
    Echo = {echo, ?config(node, Config)},
    ?assertEqual({ok, req}, gen_statem:call(Echo, req)),
    ?assertEqual({ok, req}, gen_statem:call(Echo, req, {dirty_timeout, ?WAIT})),
    ?assertEqual({ok, req}, gen:call(Echo, '$gen_call', req) =:=
                     {ok, {ok, req}} andalso {ok, req}),
    ?assertEqual(ok, gen_statem:cast(Echo, req)).

multi_call(Config) ->
    Node = ?config(node, Config),
    ?assertEqual({[{Node, {ok, x}}], []},
                 gen_server:multi_call([Node], echo, x)),
    ?assertEqual({[{Node, {ok, x}}], []},
                 gen_server:multi_call([Node], echo, x, ?WAIT)),
    ?assertEqual({[], [Node]},
                 gen_server:multi_call([Node], no_such_name, x)),
    ?assertEqual([], flush()).

send_request(Config) ->
    Echo = {echo, ?config(node, Config)},
    Reqs = [gen_server:send_request(Echo, N) || N <- lists:seq(1, 100)],
    [?assertEqual({reply, {ok, N}}, gen_server:receive_response(R, ?WAIT))
     || {N, R} <- lists:zip(lists:seq(1, 100), Reqs)],
    Bad = gen_server:send_request({no_such_name, ?config(node, Config)}, x),
    ?assertMatch({error, {noproc, _}}, gen_server:receive_response(Bad, ?WAIT)).

%% No gen_event lives there: events are dropped, calls fail, nothing hangs.
gen_event_forms(Config) ->
    Node = ?config(node, Config),
    ?assertEqual(ok, gen_event:notify({echo, Node}, event)),
    ?assertEqual(ok, gen_event:notify({no_such_name, Node}, event)),
    ?assertExit(_, gen_event:call({no_such_name, Node}, handler, query, ?WAIT)),
    ?assertExit(_, gen_event:call({echo, Node}, handler, query, 100)).

%% The late answer to a call that timed out goes to a dead alias.
call_timeout_no_garbage(Config) ->
    Echo = {echo, ?config(node, Config)},
    [catch gen_server:call(Echo, N, 0) || N <- lists:seq(1, 100)],
    ?assertEqual({ok, last}, gen_server:call(Echo, last, ?WAIT)),
    ?assertEqual([], flush()).

%% ------------------------------------------------------------- visible only

in_time(Fun) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({value, Fun()}) end),
    receive {'DOWN', Ref, process, Pid, {value, Value}} -> Value;
            {'DOWN', Ref, process, Pid, Other} -> error(Other)
    after ?WAIT -> exit(Pid, kill), error(hangs)
    end.

global_sync(Config) ->
    pong = net_adm:ping(?config(node, Config)),
    ?assertEqual(ok, in_time(fun global:sync/0)).

global_register(Config) ->
    pong = net_adm:ping(?config(node, Config)),
    Name = {global, make_ref()},
    Me = self(),
    yes = in_time(fun() -> global:register_name(Name, Me) end),
    ?assertEqual(Me, global:whereis_name(Name)),
    in_time(fun() -> global:unregister_name(Name) end).

%% The lock is asked of every node in nodes(), so of the C node too.
global_lock(Config) ->
    Node = ?config(node, Config),
    pong = net_adm:ping(Node),
    Id = {make_ref(), self()},
    ?assertEqual(true, global:set_lock(Id, [node() | nodes()], 3)),
    Other = {element(1, Id), other},
    ?assertEqual(false, in_time(fun() -> global:set_lock(Other, [Node], 0) end)),
    ?assertEqual(true, global:set_lock(Id, [Node], 0)),
    global:del_lock(Id),
    ?assertEqual(true, in_time(fun() ->
                                       global:set_lock(Other) andalso
                                           global:del_lock(Other)
                               end)),
    ?assertEqual(done, in_time(fun() -> global:trans({trans, self()},
                                                     fun() -> done end) end)).

%% A holder that dies holds nothing.
global_lock_released(Config) ->
    Node = ?config(node, Config),
    Resource = make_ref(),
    Me = self(),
    Holder = spawn(fun() ->
                           true = global:set_lock({Resource, self()}, [Node]),
                           Me ! locked,
                           receive {exit, R} -> exit(R) end
                   end),
    receive locked -> ok end,
    ?assertEqual(false, global:set_lock({Resource, self()}, [Node], 0)),
    exit(Holder, kill),
    wait_until(fun() -> global:set_lock({Resource, self()}, [Node], 0) end),
    global:del_lock({Resource, self()}, [Node]).

%% With another Erlang node in the cluster, names and sync work for both.
global_two_nodes(Config) ->
    Node = ?config(node, Config),
    cnode_test:with_peer(
      #{}, fun(Peer, Other) ->
                   pong = net_adm:ping(Other),
                   pong = peer:call(Peer, net_adm, ping, [Node], ?WAIT),
                   ok = in_time(fun global:sync/0),
                   ok = peer:call(Peer, global, sync, [], ?WAIT),
                   Name = make_ref(),
                   Me = self(),
                   yes = in_time(fun() -> global:register_name(Name, Me) end),
                   wait_until(fun() ->
                                      Me =:= peer:call(Peer, global,
                                                       whereis_name, [Name],
                                                       ?WAIT)
                              end),
                   true = erlang:disconnect_node(Node),
                   ?assert(lists:member(Other, nodes()))
           end).

%% What the node says to pg must never crash a scope.
pg_unharmed(Config) ->
    {ok, Scope} = pg:start(pg),
    Node = ?config(node, Config),
    erlang:disconnect_node(Node),
    wait_until(fun() -> net_adm:ping(Node) =:= pong end),
    ok = pg:join(group, self()),
    {ok, one} = gen_server:call({echo, Node}, one, ?WAIT),
    ?assertEqual([self()], pg:get_members(group)),
    ?assert(is_process_alive(Scope)),
    ok = pg:leave(group, self()),
    unlink(Scope),
    exit(Scope, kill).

%% --------------------------------------------------- with a node of their own

kill_9_hidden(_) ->
    kill_9(#{}).

kill_9_visible(_) ->
    kill_9(#{visible => true}).

kill_9(Opts) ->
    Serve = #{node := Node} = cnode_test:serve(Opts),
    Filter = [nodedown_reason, {node_type, all}],
    ok = net_kernel:monitor_nodes(true, Filter),
    Pid = spawn_link(Node, cnode, loop, []),
    ByPid = monitor(process, Pid),
    ByName = monitor(process, {echo, Node}),
    Erpc = erpc:send_request(Node, cnode, sleep, [60000]),
    true = monitor_node(Node, true),
    answers(Pid),
    cnode_test:kill9(Serve),
    receive {'EXIT', Pid, noconnection} -> ok end,
    receive {'DOWN', ByPid, process, Pid, noconnection} -> ok end,
    receive {'DOWN', ByName, process, {echo, Node}, noconnection} -> ok end,
    receive {nodedown, Node} -> ok end,
    receive {nodedown, Node, Info} ->
            ?assertEqual({nodedown_reason, connection_closed},
                         lists:keyfind(nodedown_reason, 1, Info)) end,
    ?assertError({erpc, noconnection}, erpc:receive_response(Erpc, ?WAIT)),
    ok = net_kernel:monitor_nodes(false, Filter),
    wait_until(fun() -> net_adm:ping(Node) =:= pang end).

%% A node that comes again under its name knows nothing of its old pids.
old_incarnation(_) ->
    First = #{node := Node} = cnode_test:serve(#{}),
    Pid = spawn(Node, cnode, loop, []),
    answers(Pid),
    cnode_test:kill9(First),
    wait_until(fun() -> not lists:member(Node, nodes(connected)) end),
    Second = serve_again(Node),
    wait_until(fun() -> net_adm:ping(Node) =:= pong end),
    Pid ! {self(), nobody_there},
    Ref = monitor(process, Pid),
    expect({'DOWN', Ref, process, Pid, noproc}),
    true = link(Pid),
    expect({'EXIT', Pid, noproc}),
    ?assertEqual({ok, new}, gen_server:call({echo, Node}, new, ?WAIT)),
    ?assertEqual([], flush()),
    cnode_test:stop(Second).

serve_again(Node) ->
    cnode_test:await_unregistered(Node),
    cnode_test:serve(#{name => Node}).

stop_is_noconnection(_) ->
    Serve = #{node := Node} = cnode_test:serve(#{}),
    Pid = spawn_link(Node, cnode, loop, []),
    answers(Pid),
    Ref = monitor(process, {echo, Node}),
    cnode_test:stop(Serve),
    receive {'EXIT', Pid, noconnection} -> ok end,
    receive {'DOWN', Ref, process, {echo, Node}, noconnection} -> ok end,
    ?assertEqual(pang, net_adm:ping(Node)).

sigint(_) ->
    Serve = cnode_test:serve(#{}),
    cnode_test:signal(Serve, "INT"),
    ?assertEqual(0, cnode_test:status(Serve)).

%% stdin ends when the first line is read; then the node ends too.
end_of_stdin(_) ->
    Script = "head -n 1 | { \"$0\" \"$@\"; echo STATUS $?; }",
    Node = cnode_test:unique("cn") ++ "@" ++ cnode_test:host(),
    Port = open_port({spawn_executable, "/bin/sh"},
                     [{args, ["-c", Script, os:getenv("CNODE"), "serve",
                              "--name", Node, "--stdin-eof"]},
                      {env, [{"CNODE_COOKIE", cnode_test:cookie()}]},
                      {line, 200}, exit_status]),
    receive {Port, {data, {eol, "CNODE READY " ++ _}}} -> ok end,
    port_command(Port, "\n"),
    receive {Port, {data, {eol, Line}}} -> ?assertEqual("STATUS 0", Line) end,
    receive {Port, {exit_status, Status}} -> ?assertEqual(0, Status) end.

connects(_) ->
    cnode_test:with_peer(
      #{}, fun(Peer, Node) ->
                   Args = ["--connect", atom_to_list(Node)],
                   Serve = #{node := C} = cnode_test:serve(#{args => Args}),
                   wait_until(fun() -> connected(Peer, C) end),
                   cnode_test:stop(Serve),
                   wait_until(fun() -> not connected(Peer, C) end)
           end).

connected(Peer, Node) ->
    lists:member(Node, peer:call(Peer, erlang, nodes, [hidden], ?WAIT)).

connects_to_many(_) ->
    cnode_test:with_peer(
      #{}, fun(Peer, Node) ->
                   Args = ["--connect", atom_to_list(node()),
                           "--connect", atom_to_list(Node)],
                   Serve = #{node := C} = cnode_test:serve(#{args => Args}),
                   wait_until(fun() -> connected(Peer, C) end),
                   wait_until(fun() -> lists:member(C, nodes(hidden)) end),
                   %% It is the last to know that it is connected.
                   wait_until(fun() ->
                                      #{connections := N} =
                                          erpc:call(C, cnode, info, []),
                                      N =:= 2
                              end),
                   cnode_test:stop(Serve)
           end).

name_freed(_) ->
    Serve = #{node := Node} = cnode_test:serve(#{}),
    ?assert(cnode_test:is_registered(Node)),
    cnode_test:stop(Serve),
    cnode_test:await_unregistered(Node).

ready_is_one_line(_) ->
    Serve = #{node := Node} = cnode_test:serve(#{global => ["-vv"]}),
    {ok, x} = gen_server:call({echo, Node}, x, ?WAIT),
    cnode_test:stop(Serve).

%% Common options stand before or after the command word.
options_in_any_place(_) ->
    Node = cnode_test:unique_node("cn"),
    Serve = cnode_test:serve(#{name => Node, global => ["--visible", "-v"]}),
    pong = net_adm:ping(Node),
    ?assert(lists:member(Node, nodes())),
    cnode_test:stop(Serve).

%% Two C nodes with each other: mortal of one watches echo of the other.
two_serves(_) ->
    One = #{node := N1} = cnode_test:serve(#{}),
    Two = #{node := N2} = cnode_test:serve(#{}),
    {mortal, N1} ! {link, self()},
    Pid = wait_until(fun() -> link_to(N1) end),
    {Far, Ref} = spawn_monitor(N2, cnode, loop, []),
    answers(Far),
    Count = fun() -> maps:get(processes, erpc:call(N2, cnode, info, [])) end,
    Before = Count(),
    Pid ! {link, Far},
    Pid ! {monitor, process, {echo, N2}},
    Pid ! {spawn_link, N2, cnode, loop, []},
    wait_until(fun() -> Count() > Before end),
    ?assertMatch(#{connections := 2}, erpc:call(N2, cnode, info, [])),
    Far ! {exit, far_end},
    receive {'DOWN', Ref, process, Far, far_end} -> ok end,
    receive {'EXIT', Far, far_end} -> ok end,
    cnode_test:kill9(Two),
    receive {'DOWN', _, process, {echo, N2}, noconnection} -> ok end,
    receive {'EXIT', P, noconnection} when node(P) =:= N2 -> ok end,
    unlink(Pid),
    cnode_test:stop(One).
