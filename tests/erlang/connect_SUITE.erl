%% SPDX-License-Identifier: Apache-2.0
%%
%% How nodes come to be connected, and how they part: peers that are kept,
%% peers that are not wanted, ports and sockets, addresses that the program
%% knows, taking leave, and what is told of all that. The C side is
%% node_driver.c.
-module(connect_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1]).
-import(node_driver, [tell/2, ok/2, await_event/4]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [kept_through_restarts, kept_until_disconnect, kept_in_vain,
     denied, denied_by_default, hidden_to_one,
     range_of_ports, unix_socket, asked_for_the_address,
     leaves, leaves_with_reasons, leaves_a_peer_that_sleeps,
     cookie_for_each, erlang_of_ipv6,
     told_why, intensity, old_name, gives_names].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

end_per_testcase(_, _) ->
    cnode_test:stop_all().

with_driver(Opts, Fun) ->
    D = node_driver:start(Opts),
    Fun(D, maps:get(node, D)),
    node_driver:stop(D).

is_peer(D, Node) ->
    lists:member(Node, tell(D, peers)).

%% Events of a kind about a node, oldest first.
events(D, Kind, Node) ->
    [E || E <- node_driver:events(D), element(1, E) =:= Kind,
          element(2, E) =:= Node].

%% -------------------------------------------------------------------- kept

%% The node is killed, and comes back: so does the connection, each time.
kept_through_restarts(_) ->
    Node = cnode_test:unique_node("kept"),
    with_driver(#{}, fun(D, _) ->
        {P1, Node} = cnode_test:start_peer(#{name => Node}),
        ok(D, {keep, Node, 100, 400, 60000, 0}),
        await_event(D, {up, Node}, 1, ?WAIT),
        Last = lists:foldl(fun(N, Peer) ->
            Os = peer:call(Peer, os, getpid, [], ?WAIT),
            unlink(Peer),
            os:cmd("kill -9 " ++ Os),
            {down, Node, _, _, 'CN_ECLOSED', _, _} =
                await_event(D, {down, Node}, N, ?WAIT),
            %% some attempts in vain before it is back
            wait_until(fun() -> length(events(D, retry, Node)) >= 2 * N end),
            {Next, Node} = cnode_test:start_peer(#{name => Node}),
            await_event(D, {up, Node}, N + 1, ?WAIT),
            Next
        end, P1, [1, 2]),
        [?assertMatch({retry, _, _, false, Code, <<_, _/binary>>, _}
                        when Code =/= 'CN_OK', R)
         || R <- events(D, retry, Node)],
        cnode_test:stop_peer(Last)
    end).

kept_until_disconnect(_) ->
    cnode_test:with_peer(#{}, fun(_, Node) ->
        with_driver(#{}, fun(D, Me) ->
            ok(D, {keep, Node, 50, 100, 60000, 0}),
            await_event(D, {up, Node}, 1, ?WAIT),
            true = erpc:call(Node, erlang, disconnect_node, [Me]),
            await_event(D, {up, Node}, 2, ?WAIT),
            ok(D, {disconnect, Node}),
            {down, Node, _, _, 'CN_OK', _, _} =
                await_event(D, {down, Node}, 2, ?WAIT),
            Retries = length(events(D, retry, Node)),
            receive after 500 -> ok end, % five times the longest wait
            ?assertEqual(Retries, length(events(D, retry, Node))),
            ?assertNot(is_peer(D, Node))
        end)
    end).

kept_in_vain(_) ->
    Node = cnode_test:unique_node("nobody"),
    with_driver(#{}, fun(D, _) ->
        ok(D, {keep, Node, 20, 60, 0, 4}),
        {given_up, Node, 4, _, 'CN_ENOENT', Text, _} =
            await_event(D, {given_up, Node}, 1, ?WAIT),
        ?assertMatch([_ | _], binary_to_list(Text)),
        ?assertEqual([1, 2, 3],
                     [N || {_, _, N, _, _, _, _} <- events(D, retry, Node)])
    end).

%% -------------------------------------------------------------- not wanted

%% Neither way, not with an open connection, and with a reason.
denied(_) ->
    cnode_test:with_peer(#{}, fun(_, Node) ->
        with_driver(#{}, fun(D, Me) ->
            up = tell(D, {connect, Node}),
            ok(D, {policy, Node, deny}),
            {down, Node, _, _, 'CN_ENOTALLOWED', _, _} =
                await_event(D, {down, Node}, 1, ?WAIT),
            wait_until(fun() -> not connected(Node, Me) end),
            ?assertEqual(false, erpc:call(Node, net_kernel, connect_node, [Me])),
            ?assertMatch({error, 'CN_ENOTALLOWED', _},
                         tell(D, {connect, Node})),
            ?assert(is_map(node_driver:command(D, stats))), % others may
            ok(D, {policy, Node, default}),
            ?assertEqual(true, erpc:call(Node, net_kernel, connect_node, [Me]))
        end)
    end).

connected(Node, Other) ->
    lists:member(Other, erpc:call(Node, erlang, nodes, [connected])).

denied_by_default(_) ->
    cnode_test:with_peer(#{}, fun(_, Node) ->
        with_driver(#{args => ["--policy", "3"]}, fun(D, Me) ->
            ?assertEqual(pang, net_adm:ping(Me)),
            ok(D, {policy, Node, allow}),
            ?assertEqual(pong, erpc:call(Node, net_adm, ping, [Me])),
            ?assertEqual(pang, net_adm:ping(Me)),
            ?assertEqual([Node], tell(D, peers))
        end)
    end).

%% Whoever connects.
hidden_to_one(_) ->
    cnode_test:with_peer(#{}, fun(_, Node) ->
        with_driver(#{visible => true}, fun(D, Me) ->
            ok(D, {policy, Node, hidden}),
            ?assertEqual(pong, net_adm:ping(Me)),
            ?assert(lists:member(Me, nodes())),
            ?assertEqual(pong, erpc:call(Node, net_adm, ping, [Me])),
            ?assertEqual([Me], erpc:call(Node, erlang, nodes, [hidden])
                               -- [node()]),
            ok(D, {disconnect, Node}),
            wait_until(fun() -> not connected(Node, Me) end),
            up = tell(D, {connect, Node}),
            %% Who dials knows it first.
            wait_until(fun() -> connected(Node, Me) end),
            ?assertEqual([Me], erpc:call(Node, erlang, nodes, [hidden])
                               -- [node()]),
            [?assertMatch({up, _, _, true, _, _, _}, E)
             || E <- events(D, up, Node)]
        end)
    end).

%% ----------------------------------------------------------- where they are

%% The second one on the same machine gets the next port.
range_of_ports(_) ->
    First = cnode_test:free_port(),
    Last = min(First + 100, 65535),
    Args = ["--port", integer_to_list(First),
            "--port-max", integer_to_list(Last)],
    with_driver(#{args => Args}, fun(#{port := P1}, N1) ->
        with_driver(#{args => Args}, fun(#{port := P2}, N2) ->
            ?assert(First =< P1 andalso P1 < P2 andalso P2 =< Last),
            [?assertEqual(pong, net_adm:ping(N)) || N <- [N1, N2]]
        end)
    end).

unix_socket(_) ->
    Path = filename:join(os:getenv("TMPDIR", "/tmp"), cnode_test:unique("s")),
    Address = list_to_atom("unix:" ++ Path),
    with_driver(#{args => ["--no-epmd"]}, fun(A, NodeA) ->
        ok(A, {listen_unix, list_to_atom(Path)}),
        with_driver(#{args => ["--no-epmd"]}, fun(B, _) ->
            ok(B, {address, NodeA, Address}),
            up = tell(B, {connect, NodeA}),
            {'CN_OK', #{}} = tell(B, {call, NodeA, driver, ?WAIT, stats})
        end)
    end),
    ?assertEqual({error, enoent}, file:read_file_info(Path)).

%% In place of EPMD, or of asking it.
asked_for_the_address(_) ->
    cnode_test:with_peer(#{}, fun(_, Node) ->
        [Short, _] = string:split(atom_to_list(Node), "@"),
        {_, Port} = lists:keyfind(Short, 1, cnode_test:epmd_names()),
        Direct = list_to_atom("127.0.0.1:" ++ integer_to_list(Port)),
        with_driver(#{args => ["--ask"]}, fun(D, _) ->
            [begin
                 {Pid, Ref} = spawn_monitor(
                                fun() -> exit(tell(D, {connect, Node})) end),
                 await_event(D, {lookup, Node}, N, ?WAIT),
                 ok(D, {found, Node, Answer}),
                 receive {'DOWN', Ref, process, Pid, Got} ->
                         ?assertEqual(Want, tag(Got))
                 end,
                 tell(D, {disconnect, Node}),
                 wait_until(fun() -> tell(D, peers) =:= [] end)
             end || {N, Answer, Want} <- [{1, Direct, up}, {2, '', up},
                                          {3, [], 'CN_ENOENT'},
                                          {4, nowhere, 'CN_EBADARG'}]]
        end)
    end).

tag({error, Code, _}) -> Code;
tag(Other) -> Other.

%% ------------------------------------------------------------------- cookies

%% Two nodes with a cookie of their own each, beside those of the usual one;
%% both ways.
cookie_for_each(_) ->
    with_driver(#{}, fun(D, Me) ->
        Peers = [{P, N, C} || C <- ["one", "two"],
                              {P, N} <- [cnode_test:start_peer(#{cookie => C})]],
        [begin
             {error, 'CN_ECOOKIE', _} = tell(D, {connect, N}),
             ?assertEqual(false, peer:call(P, net_kernel, connect_node, [Me],
                                           ?WAIT)),
             ok(D, {cookie, N, list_to_atom(C)})
         end || {P, N, C} <- Peers],
        [begin
             up = tell(D, {connect, N}),
             {'CN_OK', N} = tell(D, {rpc, N, erlang, node, [], ?WAIT}),
             ok(D, {disconnect, N}),
             wait_until(fun() ->
                                [] =:= peer:call(P, erlang, nodes, [connected],
                                                 ?WAIT)
                        end),
             ?assertEqual(true, peer:call(P, net_kernel, connect_node, [Me],
                                          ?WAIT)),
             ?assertEqual(true, is_peer(D, N))
         end || {P, N, _} <- Peers],
        ?assert(is_map(node_driver:command(D, stats))),
        [cnode_test:stop_peer(P) || {P, _, _} <- Peers]
    end).

%% ---------------------------------------------------------------------- IPv6

%% An Erlang node that knows nothing but IPv6, found by EPMD, both ways.
erlang_of_ipv6(_) ->
    case gen_tcp:listen(0, [inet6, {ip, {0, 0, 0, 0, 0, 0, 0, 1}}]) of
        {ok, L} ->
            gen_tcp:close(L),
            over_ipv6();
        {error, _} ->
            {skip, "no IPv6 here"}
    end.

over_ipv6() ->
    Name = cnode_test:unique("six"),
    {ok, Peer, Node} =
        peer:start(#{name => Name, host => "::1", longnames => true,
                     connection => standard_io, wait_boot => ?WAIT,
                     args => ["-proto_dist", "inet6_tcp",
                              "-setcookie", cnode_test:cookie()]}),
    Me = list_to_atom(cnode_test:unique("drv") ++ "@::1"),
    with_driver(#{name => Me}, fun(D, _) ->
        up = tell(D, {connect, Node}),
        {'CN_OK', Node} = tell(D, {rpc, Node, erlang, node, [], ?WAIT}),
        ok(D, {disconnect, Node}),
        wait_until(fun() ->
                           [] =:= peer:call(Peer, erlang, nodes, [connected],
                                            ?WAIT)
                   end),
        ?assert(is_map(peer:call(Peer, gen_server, call,
                                 [{driver, Me}, stats, ?WAIT], ?WAIT)))
    end),
    peer:stop(Peer).

%% --------------------------------------------------------------------- leave

%% All that was sent arrives before the node is gone, from here and from EPMD.
leaves(_) ->
    with_driver(#{}, fun(D, Me) ->
        ?assertEqual(pong, net_adm:ping(Me)),
        true = monitor_node(Me, true),
        {sent, _, _} = tell(D, {send, self(), #{messages => 2000,
                                                size => 10000}}),
        ok(D, {leave, ?WAIT}),
        [receive {_, N, _} -> ok after 0 -> ct:fail({missing, N}) end
         || N <- lists:seq(1, 2000)],
        receive {nodedown, Me} -> ok after ?WAIT -> ct:fail(no_nodedown) end,
        cnode_test:await_unregistered(Me),
        ?assertEqual(pang, net_adm:ping(Me)),
        ?assertEqual([], tell(D, peers)),
        {error, 'CN_ECLOSED', _} = tell(D, {connect, node()})
    end).

%% Who ends its processes first is heard; what lives on is lost.
leaves_with_reasons(_) ->
    with_driver(#{}, fun(D, _) ->
        [P1] = tell(D, {spawn, ends, 1, trap}),
        [P2] = tell(D, {spawn, stays, 1, trap}),
        [R1, R2] = [monitor(process, P) || P <- [P1, P2]],
        wait_until(fun() -> is_peer(D, node()) end),
        ?assert(is_map(node_driver:command(D, stats))),
        ok(D, {exit, ends, {all, done}}),
        ok(D, {leave, ?WAIT}),
        receive {'DOWN', R1, _, _, Why1} -> ?assertEqual({all, done}, Why1) end,
        receive {'DOWN', R2, _, _, Why2} -> ?assertEqual(noconnection, Why2) end
    end).

%% It is not waited for longer than asked: it sleeps until that is over.
leaves_a_peer_that_sleeps(_) ->
    cnode_test:with_peer(#{}, fun(Peer, Node) ->
        with_driver(#{}, fun(D, _) ->
            up = tell(D, {connect, Node}),
            Os = peer:call(Peer, os, getpid, [], ?WAIT),
            cnode_test:freeze(Os),
            T0 = erlang:monotonic_time(millisecond),
            Left = (catch tell(D, {leave, 1000})),
            Ms = erlang:monotonic_time(millisecond) - T0,
            os:cmd("kill -CONT " ++ Os),
            ?assertMatch({error, 'CN_ETIMEDOUT', _}, Left),
            ?assert(Ms >= 900)
        end)
    end).

%% ------------------------------------------------------------- what is told

told_why(_) ->
    Node = cnode_test:unique_node("why"),
    {Peer, Node} = cnode_test:start_peer(#{name => Node}),
    with_driver(#{}, fun(D, Me) ->
        up = tell(D, {connect, Node}),
        ok(D, {disconnect, Node}),
        {down, _, _, _, 'CN_OK', <<"disconnected">>, _} =
            await_event(D, {down, Node}, 1, ?WAIT),
        wait_until(fun() -> not connected(Node, Me) end),
        up = tell(D, {connect, Node}),
        true = erpc:call(Node, erlang, disconnect_node, [Me]),
        {down, _, _, _, 'CN_ECLOSED', Closed, _} =
            await_event(D, {down, Node}, 2, ?WAIT),
        ?assertMatch({match, _}, re:run(Closed, "peer closed")),
        ok(D, {cookie, Node, wrong}),
        {error, 'CN_ECOOKIE', _} = tell(D, {connect, Node}),
        ok(D, {cookie, Node, []}),
        cnode_test:stop_peer(Peer),
        wait_until(fun() ->
                           tag(tell(D, {connect, Node})) =:= 'CN_ENOENT'
                   end),
        {error, _, Text} = tell(D, {connect, Node}),
        ?assertMatch([_ | _], binary_to_list(Text))
    end).

%% A peer that falls silent is told ticks at each eighth of the ticktime, and
%% given up after one whole of it.
intensity(_) ->
    Args = ["--ticktime-s", "4", "--tick-intensity", "8"],
    with_driver(#{args => Args}, fun(#{port := Port} = D, _) ->
        Raw = cnode_test:unique_node("raw"),
        S = raw_peer:dial(Port, Raw, cnode_test:cookie()),
        Ticks = count_ticks(S, 0),
        await_event(D, {down, Raw}, 1, ?WAIT),
        %% By its own clock, however late we hear of it.
        [{up, Raw, _, _, _, _, Up},
         {down, Raw, _, _, 'CN_ETIMEDOUT', Text, Down}] = node_driver:events(D),
        ct:log("~p ticks in ~p ms", [Ticks, Up - Down]),
        ?assert(Ticks >= 6 andalso Ticks =< 9),
        ?assert(Up - Down >= 3900),
        ?assertMatch({match, _}, re:run(Text, "tick"))
    end).

count_ticks(S, N) ->
    case raw_peer:recv_frame(S, ?WAIT) of
        tick -> count_ticks(S, N + 1);
        {error, closed} -> N;
        Frame when is_binary(Frame) -> count_ticks(S, N)
    end.

%% OTP 23 and 24 may begin in the form of version 5, no later release does.
old_name(_) ->
    with_driver(#{}, fun(#{port := Port} = D, Me) ->
        Raw = cnode_test:unique_node("old"),
        S = raw_peer:connect(Port),
        <<High:32, Low:32>> = <<(raw_peer:flags()):64>>,
        raw_peer:send_hs(S, <<$n, 5:16, Low:32, (atom_to_binary(Raw))/binary>>),
        ?assertEqual(<<"ok">>, raw_peer:recv_status(S)),
        #{challenge := C, name := Me} = raw_peer:recv_challenge(S),
        raw_peer:send_hs(S, <<$c, High:32, 16#12345678:32>>),
        raw_peer:send_reply(S, C, 9, cnode_test:cookie()),
        ?assertEqual(raw_peer:digest(9, cnode_test:cookie()),
                     raw_peer:recv_ack(S)),
        await_event(D, {up, Raw}, 1, ?WAIT),
        pong = raw_peer:ping(S, Raw),
        raw_peer:close(S)
    end).

%% Erlang nodes that were started without a name, each connected more than
%% once.
gives_names(_) ->
    with_driver(#{}, fun(D, Me) ->
        Flag = case string:find(cnode_test:host(), ".") of
                   nomatch -> "-sname";
                   _ -> "-name"
               end,
        Args = [Flag, "undefined@" ++ cnode_test:host(),
                "-setcookie", cnode_test:cookie()],
        {ok, Peer, _} = peer:start(#{connection => standard_io, args => Args,
                                     wait_boot => ?WAIT}),
        Names = [begin
                     true = peer:call(Peer, net_kernel, connect_node, [Me],
                                      ?WAIT),
                     Name = peer:call(Peer, erlang, node, [], ?WAIT),
                     ?assertNotEqual('nonode@nohost', Name),
                     {up, Name, _, true, _, _, _} =
                         await_event(D, {up, Name}, 1, ?WAIT),
                     ?assert(is_map(peer:call(Peer, gen_server, call,
                                              [{driver, Me}, stats, ?WAIT],
                                              ?WAIT))),
                     true = peer:call(Peer, erlang, disconnect_node, [Me],
                                      ?WAIT),
                     await_event(D, {down, Name}, 1, ?WAIT),
                     wait_until(fun() ->
                                        peer:call(Peer, erlang, node, [], ?WAIT)
                                            =:= 'nonode@nohost'
                                end),
                     Name
                 end || _ <- [1, 2]],
        ct:log("~p", [Names]),
        peer:stop(Peer)
    end).
