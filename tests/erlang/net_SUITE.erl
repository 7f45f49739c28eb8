%% SPDX-License-Identifier: Apache-2.0
%%
%% What becomes of connections when the network, or a program, fails.
%%
%% On one of two machines (machines.erl) lives the node under test, a C node; on
%% the other an Erlang node and another C node, to both of which it is
%% connected, and with processes of which its processes are linked, and the
%% other way round. All are commanded through their stdin, which no failure of
%% the network touches.
%%
%% After each case everybody connects again, and the node under test must have
%% as many descriptors as before and not much more memory.
-module(net_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1, wait_until/2]).
-import(machines, [inside/1, sh/2, kill/2, lose/2, find/2, lose_all/1,
                   find_all/1]).

-define(HERE, "10.77.1.2").
-define(THERE, "10.77.2.2").
%% Ticktime in s. A node is given up as silent after 3 to 5 s, by the four
%% checks in that time. Each of these is the ms that it takes at least.
-define(TICK, 4).
-define(SILENT, 2500).
%% What needs no ticktime to be noticed: the reason is another one, too.
-define(AT_ONCE, 0).
%% One side has to wait first.
-define(BY_THE_OTHER, 2500).
%% All of it comes before this, which is enough for slow machines, and less than
%% the usual ticktime would take, 45 s.
-define(LATEST, 30000).

%% At 1 Mbit/s longer than the ticktime.
-define(SLOW_SIZE, 700000).
-define(FRAGMENTS, (1 bsl 23)).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [silent_drop, drop_to_there, drop_to_here, link_down_there,
     link_down_here, loss_shorter_than_ticktime, slow_network,
     slow_network_from_erlang, slow_network_to_erlang,
     peer_stopped_shortly, peer_stopped, we_stop_shortly, we_stop,
     we_stop_and_the_peer_waits, stopped_peer_delays_nobody,
     reset_from_there, reset_from_here, half_open, half_open_peer_returns,
     dial_into_nothing, dial_refused, cut_while_dialling,
     kept_peers_come_back].

%% ------------------------------------------------------------------- machines

init_per_suite(Config) ->
    case machines:missing() of
        [] ->
            cnode_test:init_suite(Config),
            {Pid, Result} = keeper(fun() -> build_world() end),
            [{keeper, Pid}, {world, Result} | Config];
        [Why | _] ->
            {skip, Why}
    end.

end_per_suite(Config) ->
    #{d := D, e := E, peer := Peer, epmds := Epmds} = world(Config),
    cnode_test:stop_peer(Peer),
    [node_driver:stop(X) || X <- [D, E]],
    [kill("KILL", P) || P <- Epmds],
    ?config(keeper, Config) ! finish,
    cnode_test:stop_all().

%% With what took the place of its programs.
world(Config) ->
    maps:merge(?config(world, Config), persistent_term:get(?MODULE, #{})).

%% Ports belong to a process, and init_per_suite comes and goes.
keeper(Fun) ->
    Me = self(),
    Pid = spawn(fun() ->
                        Me ! {self(), Fun()},
                        receive finish -> ok end
                end),
    receive {Pid, Result} -> {Pid, Result} end.

build_world() ->
    #{here := Here, there := There} = Machines = machines:make(),
    D = driver(Here, ?HERE, "mmm"),
    E = driver(There, ?THERE, "ccc"),
    {Peer, Node} = start_peer(There, cnode_test:unique("ppp")),
    World = Machines#{d => D, e => E, peer => Peer, node => Node},
    meet(World),
    World#{fds => node_driver:fds(D), rss => cnode_test:rss(D)}.

driver(Space, Host, Prefix) ->
    driver(Space, list_to_atom(cnode_test:unique(Prefix) ++ "@" ++ Host)).

driver(Space, Node) ->
    node_driver:start(#{name => Node, wrap => inside(Space),
                        args => ["--ticktime-s", integer_to_list(?TICK),
                                 "--setup-ms", "3000",
                                 "--max-queue", "8000000"]}).

start_peer(Space, Name) ->
    [Nsenter | Args] = inside(Space),
    Erl = filename:join([code:root_dir(), "bin", "erl"]),
    {ok, Peer, Node} =
        peer:start(#{name => Name, host => ?THERE, longnames => true,
                     connection => standard_io, wait_boot => ?WAIT,
                     exec => {Nsenter, Args ++ [Erl]},
                     args => ["-setcookie", cnode_test:cookie(),
                              "-kernel", "net_ticktime",
                              integer_to_list(?TICK),
                              "-pa", filename:absname(
                                       filename:dirname(
                                         code:which(?MODULE)))]}),
    ok = peer:call(Peer, ?MODULE, start_recorder, [], ?WAIT),
    {Peer, Node}.

%% Everybody connected, as each side sees it. One side may still be about to
%% notice that the old connection is dead, so all is asked again.
meet(#{d := D, e := E, peer := Peer, node := Node}) ->
    #{node := C} = D,
    #{node := Other} = E,
    wait_until(fun() ->
                       node_driver:tell(D, {connect, Node}) =:= up
                           andalso node_driver:tell(D, {connect, Other}) =:= up
                           andalso lists:member(C, node_driver:tell(E, peers))
                           andalso lists:member(C, peer:call(Peer, erlang, nodes,
                                                             [connected],
                                                             ?WAIT))
               end).

%% ----------------------------------------- what is told to the Erlang node there

start_recorder() ->
    Me = self(),
    Pid = spawn(fun() ->
                        register(recorder, self()),
                        process_flag(trap_exit, true),
                        Filter = [nodedown_reason, {node_type, all}],
                        ok = net_kernel:monitor_nodes(true, Filter),
                        Me ! {self(), up},
                        record([])
                end),
    receive {Pid, up} -> ok end.

record(Seen) ->
    receive
        {recorded, From} ->
            From ! {recorded, lists:reverse(Seen)},
            record(Seen);
        {watch, From, Pids} ->
            [link(P) || P <- Pids],
            [monitor(process, P) || P <- Pids],
            From ! watching,
            record([]);
        M ->
            record([{M, now_ms()} | Seen])
    end.

recorded() ->
    recorder ! {recorded, self()},
    receive {recorded, Seen} -> Seen end.

%% Forgets what was, and links with and monitors these.
watch(Pids) ->
    recorder ! {watch, self(), Pids},
    receive watching -> ok end.

now_ms() ->
    erlang:system_time(millisecond).

%% ------------------------------------------------------------------ a case

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

end_per_testcase(_, Config) ->
    heal(world(Config)).

%% Whatever a case that failed has left.
heal(#{router := Router, here := Here, d := #{os_pid := D},
       e := #{os_pid := E}}) ->
    continue([D, E]),
    [sh(Router, [Command, " 2>/dev/null; true"])
     || Command <- ["ip link set here up", "ip link set there up",
                    "tc qdisc del dev here root", "tc qdisc del dev there root"]
            ++
            [["ip route del ", Kind, " ", To, "/32"]
             || Kind <- ["blackhole", "unreachable", "prohibit"],
                To <- [?HERE, ?THERE]]],
    sh(Here, "ip link set eth0 up; "
             "ip route add default via 10.77.1.1 2>/dev/null; true").

%% Fresh relations across each connection, in both directions:
%% processes of D with one of the Erlang node, and with one of E; one of the
%% Erlang node, and one of E, with one of D.
relate(Config) ->
    World = world(Config),
    #{d := D, e := E, peer := Peer, node := Node} = World,
    meet(World),
    [G, H, T] = [list_to_atom(cnode_test:unique("g")) || _ <- [1, 2, 3]],
    [[_] = node_driver:tell(X, {spawn, Group, 1, trap})
     || {X, Group} <- [{D, G}, {D, H}, {E, T}]],
    Far = peer:call(Peer, erlang, spawn, [timer, sleep, [infinity]], ?WAIT),
    [OfE, One, Two] = [target(X) || X <- [E, D, D]],
    [node_driver:ok(X, {What, Group, [Pid]})
     || What <- [link, monitor],
        {X, Group, Pid} <- [{D, G, Far}, {D, H, OfE}, {E, T, Two}]],
    ok = peer:call(Peer, ?MODULE, watch, [[One]], ?WAIT),
    %% What was asked for has arrived.
    {'CN_OK', _} = node_driver:tell(D, {rpc, Node, erlang, node, [], ?WAIT}),
    [{'CN_OK', _} = node_driver:tell(X, {call, maps:get(node, Y), driver, ?WAIT,
                                         stats})
     || {X, Y} <- [{D, E}, {E, D}]],
    World#{with_erlang => G, with_c => H, of_e => T, echo => One, far => Far,
           since => now_ms(), before_d => length(node_driver:events(D)),
           before_e => length(node_driver:events(E))}.

target(Driver) ->
    [Pid] = node_driver:tell(Driver, {spawn, list_to_atom(cnode_test:unique("t")),
                                      1, trap}),
    Pid.

%% One of D was told once that it lost its link and its monitor.
lost_once(#{d := D} = World, Side) ->
    lost_once(D, maps:get(Side, World));
lost_once(Driver, Group) ->
    report_is(Driver, Group,
              #{exits => [{noconnection, 1}], downs => [{noconnection, 1}],
                links => {0, 1, 0}, monitors => {0, 1, 0}, strange => 0,
                living => 1}).

nothing_lost(Driver, Group) ->
    report_is(Driver, Group,
              #{exits => [], downs => [], links => {1, 0, 0},
                monitors => {1, 0, 0}, strange => 0, living => 1}).

%% Now, or as soon as what is on its way has arrived.
report_is(Driver, Group, Wanted) ->
    Is = fun() -> maps:with(maps:keys(Wanted),
                            node_driver:report(Driver, Group)) end,
    catch wait_until(fun() -> Is() =:= Wanted end),
    ?assertEqual(Wanted, Is()).

%% D was told of the end of this connection, not before that time after the
%% beginning, with one of these codes, once.
d_told(#{d := D, before_d := N} = World, Node, Least, Codes) ->
    driver_told(D, N, World, Node, Least, Codes).

e_told(#{e := E, d := #{node := Node}, before_e := N} = World, Least, Codes) ->
    driver_told(E, N, World, Node, Least, Codes),
    lost_once(E, maps:get(of_e, World)).

driver_told(Driver, Before, #{since := Since}, Node, Least, Codes) ->
    Down = fun() -> [{E, now_ms() - element(7, E) - Since}
                     || E <- lists:nthtail(Before, node_driver:events(Driver)),
                        element(1, E) =:= down, element(2, E) =:= Node] end,
    wait_until(fun() -> Down() =/= [] end, ?LATEST),
    [{Event, Ms}] = Down(),
    ct:log("~p is told after ~p ms: ~p",
           [maps:get(node, Driver), Ms, Event]),
    ?assertEqual({Event, true}, {Event, lists:member(element(5, Event), Codes)}),
    ?assertNotEqual(<<>>, element(6, Event)),
    not_before(Least, Ms).

not_before(Least, Ms) ->
    ?assertEqual({Ms, Least, true}, {Ms, Least, Ms >= Least - 200}).

%% The Erlang node was told the same: nodedown, EXIT and DOWN, each once. Where
%% its system closes the socket, its reasons are those of the system: any, or
%% any but silence.
erlang_told(#{peer := Peer, d := #{node := Node}, since := Since, echo := Pid},
            Least, Reasons) ->
    Seen = wait_until(
             fun() ->
                     All = peer:call(Peer, ?MODULE, recorded, [], ?WAIT),
                     not lists:member([], told_of(All, Node, Pid)) andalso All
             end, ?LATEST),
    ct:log("the Erlang node is told: ~p", [[{M, At - Since} || {M, At} <- Seen]]),
    [[{Reason, At}], Exits, Downs] = told_of(Seen, Node, Pid),
    ?assertEqual({Reason, true},
                 {Reason, case Reasons of
                              any -> true;
                              not_silence -> Reason =/= net_tick_timeout;
                              _ -> lists:member(Reason, Reasons)
                          end}),
    not_before(Least, At - Since),
    ?assertEqual({[noconnection], [noconnection]}, {Exits, Downs}).

%% The reasons: of nodedown, with its time, EXIT, and DOWN.
told_of(Seen, Node, Pid) ->
    [[{proplists:get_value(nodedown_reason, Info), At}
      || {{nodedown, N, Info}, At} <- Seen, N =:= Node],
     [R || {{'EXIT', P, R}, _} <- Seen, P =:= Pid],
     [R || {{'DOWN', _, process, P, R}, _} <- Seen, P =:= Pid]].

nobody_told(#{d := D, e := E, peer := Peer, before_d := N, before_e := M,
              with_erlang := G, with_c := H, of_e := T}) ->
    ?assertEqual([], lists:nthtail(N, node_driver:events(D))),
    ?assertEqual([], lists:nthtail(M, node_driver:events(E))),
    ?assertEqual([], peer:call(Peer, ?MODULE, recorded, [], ?WAIT)),
    nothing_lost(D, G),
    nothing_lost(D, H),
    nothing_lost(E, T).

%% Both connections come back, carry something, and nothing was left behind.
again(#{d := D, e := E, peer := Peer, node := Node} = World) ->
    meet(World),
    ?assertEqual({'CN_OK', Node},
                 node_driver:tell(D, {rpc, Node, erlang, node, [], ?WAIT})),
    ?assertMatch({'CN_OK', _},
                 node_driver:tell(D, {call, maps:get(node, E), driver, ?WAIT,
                                      stats})),
    ?assertMatch(#{}, peer:call(Peer, gen_server, call,
                                [{driver, maps:get(node, D)}, stats, ?WAIT],
                                ?WAIT)),
    told_once(World),
    no_leak(World).

%% What was told once was not told again later.
told_once(#{d := D, e := E, with_erlang := G, with_c := H, of_e := T}) ->
    [begin
         #{links := {_, _, More}, monitors := {_, _, Too}, strange := S} =
             node_driver:report(X, Group),
         ?assertEqual({0, 0, 0}, {More, Too, S})
     end || {X, Group} <- [{D, G}, {D, H}, {E, T}],
        Group =/= gone].

no_leak(#{d := D, fds := Fds, rss := Rss}) ->
    wait_until(fun() -> node_driver:fds(D) =< Fds end),
    wait_until(fun() -> cnode_test:rss(D) < Rss + 60000 end),
    ct:log("VmRSS ~p kB, at first ~p", [cnode_test:rss(D), Rss]).

silent() -> ['CN_ETIMEDOUT'].
closed() -> ['CN_ECLOSED', 'CN_EIO'].

%% ------------------------------------------------------------------- the losses

%% Everything is lost, nobody is told by the network: both sides notice by
%% themselves.
silent_drop(Config) ->
    World = #{e := E, node := Node} = relate(Config),
    lose_all(World),
    d_told(World, Node, ?SILENT, silent()),
    d_told(World, maps:get(node, E), ?SILENT, silent()),
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    e_told(World, ?SILENT, silent()),
    erlang_told(World, ?SILENT, [net_tick_timeout]),
    find_all(World),
    again(World).

%% What we send is lost. The others notice the silence; what they do then tells
%% us.
drop_to_there(Config) ->
    World = #{e := E, node := Node} = relate(Config),
    lose(World, ?THERE),
    e_told(World, ?SILENT, silent()),
    erlang_told(World, ?SILENT, [net_tick_timeout]),
    [d_told(World, N, ?BY_THE_OTHER, silent() ++ closed())
     || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    find(World, ?THERE),
    again(World).

%% What they send is lost, also that they have what we sent.
drop_to_here(Config) ->
    World = #{e := E, node := Node} = relate(Config),
    lose(World, ?HERE),
    [d_told(World, N, ?SILENT, silent()) || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    e_told(World, ?BY_THE_OTHER, silent() ++ closed()),
    erlang_told(World, ?BY_THE_OTHER, any),
    find(World, ?HERE),
    again(World).

%% Their cable is pulled: the router may say that they are unreachable.
link_down_there(Config) ->
    World = #{e := E, node := Node, router := Router} = relate(Config),
    sh(Router, "ip link set there down"),
    [d_told(World, N, ?SILENT, silent() ++ closed())
     || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    e_told(World, ?SILENT, silent() ++ closed()),
    erlang_told(World, ?SILENT, any),
    sh(Router, "ip link set there up"),
    again(World).

%% Ours is; and there is no network here at all any more.
link_down_here(Config) ->
    World = #{e := E, node := Node, here := Here} = relate(Config),
    sh(Here, "ip link set eth0 down"),
    [d_told(World, N, ?SILENT, silent() ++ closed())
     || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    ?assertMatch({error, _, _}, node_driver:tell(maps:get(d, World),
                                                 {connect, Node})),
    e_told(World, ?SILENT, silent() ++ closed()),
    erlang_told(World, ?SILENT, any),
    sh(Here, "ip link set eth0 up && ip route add default via 10.77.1.1"),
    again(World).

%% Half a second without network delays what is sent, and that is all. (After a
%% whole one it may be two more until TCP sends it again.)
loss_shorter_than_ticktime(Config) ->
    World = #{d := D, e := E, peer := Peer, node := Node} = relate(Config),
    Counted = list_to_atom(cnode_test:unique("g")),
    [To] = node_driver:tell(E, {spawn, Counted, 1, trap}),
    Send = fun() ->
                   {sent, _, _} =
                       node_driver:tell(D, {send, {recorder, Node},
                                            #{messages => 100, senders => 3}}),
                   {sent, _, _} =
                       node_driver:tell(D, {send, To,
                                            #{messages => 100, senders => 3}})
           end,
    lose_all(World),
    Send(),
    %% That long nothing gets through.
    receive after 500 -> ok end,
    find_all(World),
    Send(),
    wait_until(fun() ->
                       #{messages := M} = node_driver:report(E, Counted),
                       M =:= 600
               end),
    #{disorder := 0} = node_driver:report(E, Counted),
    Seen = wait_until(fun() ->
                              All = peer:call(Peer, ?MODULE, recorded, [],
                                              ?WAIT),
                              length(All) =:= 600 andalso All
                      end),
    [?assertEqual(lists:seq(1, 100), [I || {{P, I, _}, _} <- Seen, P =:= Pid])
     || Pid <- lists:usort([P || {{P, _, _}, _} <- Seen])],
    ok = peer:call(Peer, ?MODULE, watch, [[]], ?WAIT),
    nobody_told(World),
    again(World).

%% A message takes longer than the ticktime to get through: it is being received,
%% so that nobody is silent. Whoever else shares the slow line is not connected.
slow_network(Config) ->
    World = #{d := D, e := E = #{node := Other}, node := Node} = relate(Config),
    alone_with(World, Other, Node),
    Groups = [list_to_atom(cnode_test:unique("g")) || _ <- [1, 2]],
    Both = lists:zip([E, D], Groups),
    [AtE, AtD] = [begin [P] = node_driver:tell(X, {spawn, G, 1, trap}), P end
                  || {X, G} <- Both],
    [{sent, _, _} = node_driver:tell(X, {send, To, big()})
     || {X, To} <- [{D, AtE}, {E, AtD}]],
    [await_messages(X, G, 1) || {X, G} <- Both],
    none_down(World, Other).

slow_network_from_erlang(Config) ->
    World = #{d := D, e := #{node := Other}, peer := Peer, node := Node} =
        relate(Config),
    alone_with(World, Node, Other),
    Group = list_to_atom(cnode_test:unique("g")),
    [To] = node_driver:tell(D, {spawn, Group, 1, trap}),
    ok = peer:call(Peer, ?MODULE, send_big, [To, ?SLOW_SIZE], ?WAIT),
    await_messages(D, Group, 1),
    none_down(World, Node).

%% Erlang does not count a part of a frame: it needs fragments.
slow_network_to_erlang(Config) ->
    World = #{d := D, e := #{node := Other}, peer := Peer, node := Node} =
        relate(Config),
    case node_driver:tell(D, {flags, Node}) band ?FRAGMENTS of
        0 ->
            {skip, "fragments are not agreed on"};
        _ ->
            alone_with(World, Node, Other),
            {sent, [P], _} = node_driver:tell(D, {send, {recorder, Node},
                                                  big()}),
            wait_until(fun() -> [size(X) || {{From, 1, X}, _} <-
                                                peer:call(Peer, ?MODULE,
                                                          recorded, [], ?WAIT),
                                            From =:= P] =:= [?SLOW_SIZE]
                       end),
            none_down(World, Node)
    end.

alone_with(#{d := D, router := Router} = World, Node, Leave) ->
    ok = node_driver:tell(D, {disconnect, Leave}),
    d_told(World, Leave, ?AT_ONCE, ['CN_OK']),
    [sh(Router, ["tc qdisc add dev ", Link,
                 " root tbf rate 1mbit burst 20kb limit 60kb"])
     || Link <- ["here", "there"]],
    ?assert(lists:member(Node, node_driver:tell(D, peers))).

none_down(#{d := D, before_d := Before, since := Since, router := Router} = World,
          Node) ->
    ?assert(now_ms() - Since > 1000 * ?TICK),
    [sh(Router, ["tc qdisc del dev ", Link, " root"])
     || Link <- ["here", "there"]],
    ?assertEqual([], [X || X <- lists:nthtail(Before, node_driver:events(D)),
                           element(2, X) =:= Node]),
    again(World).

big() ->
    #{messages => 1, size => ?SLOW_SIZE}.

send_big(To, Size) ->
    To ! {self(), 1, binary:copy(<<"x">>, Size)},
    ok.

await_messages(Driver, Group, N) ->
    wait_until(fun() ->
                       #{messages := M} = node_driver:report(Driver, Group),
                       M =:= N
               end).

%% --------------------------------------------------------------------- stopped

stop(Pids) -> [kill("STOP", P) || P <- Pids].
continue(Pids) -> [kill("CONT", P) || P <- Pids].

there(#{e := #{os_pid := E}, peer := Peer}) ->
    [E, peer:call(Peer, os, getpid, [], ?WAIT)].

peer_stopped_shortly(Config) ->
    World = #{d := D, e := E, node := Node} = relate(Config),
    Pids = there(World),
    stop(Pids),
    receive after 1000 -> ok end,
    continue(Pids),
    ?assertEqual({'CN_OK', Node},
                 node_driver:tell(D, {rpc, Node, erlang, node, [], ?WAIT})),
    ?assertMatch({'CN_OK', _},
                 node_driver:tell(D, {call, maps:get(node, E), driver, ?WAIT,
                                      stats})),
    nobody_told(World),
    again(World).

%% Longer than the ticktime: we give them up. When they go on they find the
%% connection closed, or us silent.
peer_stopped(Config) ->
    World = #{e := E, node := Node} = relate(Config),
    Pids = there(World),
    stop(Pids),
    [d_told(World, N, ?SILENT, silent()) || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    continue(Pids),
    e_told(World, ?BY_THE_OTHER, silent() ++ closed()),
    erlang_told(World, ?BY_THE_OTHER, any),
    again(World).

we_stop_shortly(Config) ->
    World = #{d := #{os_pid := Pid}, peer := Peer} = relate(Config),
    stop([Pid]),
    receive after 1000 -> ok end,
    continue([Pid]),
    ?assertMatch(#{}, peer:call(Peer, gen_server, call,
                                [{driver, maps:get(node, maps:get(d, World))},
                                 stats, ?WAIT], ?WAIT)),
    nobody_told(World),
    again(World).

%% They give us up, and we are told when we go on.
we_stop(Config) ->
    World = #{d := #{os_pid := Pid}, e := E, node := Node} = relate(Config),
    stop([Pid]),
    e_told(World, ?SILENT, silent()),
    erlang_told(World, ?SILENT, [net_tick_timeout]),
    continue([Pid]),
    [d_told(World, N, ?BY_THE_OTHER, silent() ++ closed())
     || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    again(World).

%% We stop for longer than the ticktime, and the peer goes on ticking: there is
%% nothing wrong with it, so that it stays connected.
we_stop_and_the_peer_waits(_) ->
    Args = ["--ticktime-s", integer_to_list(?TICK)],
    D = #{os_pid := Pid, port := Port} = node_driver:start(#{args => Args}),
    Raw = cnode_test:unique_node("raw"),
    S = raw_peer:dial(Port, Raw, cnode_test:cookie()),
    Ticker = spawn_link(fun() -> tick_for_ever(S) end),
    node_driver:await_event(D, {up, Raw}, 1, ?WAIT),
    stop([Pid]),
    receive after 7000 -> ok end,
    continue([Pid]),
    %% Long enough for it to think about it.
    receive after 2500 -> ok end,
    ?assertMatch([{up, Raw, _, _, _, _, _}], node_driver:events(D)),
    unlink(Ticker),
    exit(Ticker, kill),
    node_driver:stop(D).

tick_for_ever(S) ->
    raw_peer:tick(S),
    receive after 500 -> tick_for_ever(S) end.

%% What is sent to one that stands still is kept within the limit, and the other
%% one is served as ever.
stopped_peer_delays_nobody(Config) ->
    World = #{d := D, e := E, node := Node} = relate(Config),
    #{os_pid := Pid} = E,
    Rss = cnode_test:rss(D),
    Me = self(),
    Group = list_to_atom(cnode_test:unique("g")),
    [To] = node_driver:tell(E, {spawn, Group, 1, trap}),
    stop([Pid]),
    Flood = spawn_link(fun() ->
                               Me ! {self(), node_driver:tell(
                                               D, {send, To,
                                                   #{messages => 400,
                                                     size => 100000}})}
                       end),
    [?assertEqual({'CN_OK', Node},
                  node_driver:tell(D, {rpc, Node, erlang, node, [], ?WAIT}))
     || _ <- lists:seq(1, 20)],
    %% Before it has gone on.
    receive {Flood, Early} -> ct:fail(Early) after 0 -> ok end,
    Kb = cnode_test:rss(D),
    ct:log("VmRSS ~p kB, before ~p", [Kb, Rss]),
    ?assert(Kb < Rss + 60000),
    continue([Pid]),
    %% 40 MB through a queue of 8.
    receive {Flood, {sent, _, Busy}} -> ?assert(Busy > 0) end,
    wait_until(fun() ->
                       #{messages := M} = node_driver:report(E, Group),
                       M =:= 400
               end),
    #{disorder := 0} = node_driver:report(E, Group),
    again(World).

%% ----------------------------------------------------------- reset, half open

%% Their system closes their sockets, and tells both sides.
reset_from_there(Config) ->
    World = #{e := E, node := Node, there := There} = relate(Config),
    sh(There, "ss -K dst " ++ ?HERE),
    [d_told(World, N, ?AT_ONCE, closed()) || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    e_told(World, ?AT_ONCE, closed()),
    erlang_told(World, ?AT_ONCE, not_silence),
    again(World).

reset_from_here(Config) ->
    World = #{e := E, node := Node, here := Here} = relate(Config),
    sh(Here, "ss -K dst " ++ ?THERE),
    [d_told(World, N, ?AT_ONCE, closed()) || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    e_told(World, ?AT_ONCE, closed()),
    erlang_told(World, ?AT_ONCE, not_silence),
    again(World).

%% They end while nothing gets through, and then the network is there again:
%% our next tick is answered by a reset.
half_open(Config) ->
    World = #{e := E, peer := Peer, node := Node} = relate(Config),
    Pids = there(World),
    lose_all(World),
    [kill("KILL", P) || P <- Pids],
    0 < cnode_test:status(E) orelse error(alive),
    find_all(World),
    [d_told(World, N, ?AT_ONCE, closed()) || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    cnode_test:stop_peer(Peer),
    again(return(World)).

%% The same, and before we notice they are there again and connect to us: we
%% believe them that what we have is dead, and nothing of the old connection
%% comes after the new one.
half_open_peer_returns(Config) ->
    World = #{d := D, e := E, peer := Peer, node := Node} = relate(Config),
    #{node := Us} = D,
    Pids = there(World),
    lose_all(World),
    [kill("KILL", P) || P <- Pids],
    0 < cnode_test:status(E) orelse error(alive),
    cnode_test:stop_peer(Peer),
    %% They start without a network; when it is there they are the first to
    %% speak, or the second.
    New = #{e := E2, peer := Peer2} = return(World),
    Dial = spawn_link(fun() ->
                              true = peer:call(Peer2, net_kernel, connect_node,
                                               [Us], ?WAIT)
                      end),
    find_all(World),
    ?assertEqual(up, node_driver:tell(E2, {connect, Us})),
    receive {'EXIT', Dial, R} -> ?assertEqual(normal, R) end,
    [d_told(World, N, 0, closed() ++ silent())
     || N <- [Node, maps:get(node, E)]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    #{before_d := Before} = World,
    [?assertMatch([{down, _, Id, _, _, _, _}, {up, _, Other, _, _, _, _} | _]
                    when Id =/= Other,
                  [X || X <- lists:nthtail(Before, node_driver:events(D)),
                        element(2, X) =:= N])
     || N <- [Node, maps:get(node, E)]],
    again(New).

%% The programs there, anew under their names. The suite goes on with them.
return(#{e := #{node := Other}, there := There, node := Node} = World) ->
    [Name, _] = string:split(atom_to_list(Node), "@"),
    [wait_until(fun() -> not registered(There, N) end) || N <- [Other, Node]],
    E = driver(There, Other),
    {Peer, Node} = start_peer(There, Name),
    persistent_term:put(?MODULE, #{e => E, peer => Peer}),
    World#{e := E, peer := Peer, of_e := gone}.

registered(Space, Node) ->
    [Short, _] = string:split(atom_to_list(Node), "@"),
    Names = os:cmd(lists:flatten(lists:join($\s, inside(Space)))
                   ++ " epmd -names 2>&1"),
    string:find(Names, "name " ++ Short ++ " at") =/= nomatch.

%% -------------------------------------------------------------------- dialling

%% Nobody says no, nobody says yes: the setup time decides, 3 s here. What waits
%% for the connection is told.
dial_into_nothing(Config) ->
    #{d := D, e := #{node := Other}} = World = world(Config),
    meet(World),
    ok = node_driver:tell(D, {disconnect, Other}),
    lose_all(World),
    Group = list_to_atom(cnode_test:unique("g")),
    [_] = node_driver:tell(D, {spawn, Group, 1, trap}),
    Began = now_ms(),
    ok = node_driver:tell(D, {monitor, Group, [{driver, Other}]}),
    {error, Code, Text} = node_driver:tell(D, {connect, Other}),
    Ms = now_ms() - Began,
    ct:log("after ~p ms: ~p ~ts", [Ms, Code, Text]),
    ?assert(lists:member(Code, ['CN_ETIMEDOUT', 'CN_EEPMD'])),
    not_before(1500, Ms),
    wait_until(fun() ->
                       #{downs := Downs} = node_driver:report(D, Group),
                       Downs =:= [{noconnection, 1}]
               end),
    find_all(World),
    meet(World),
    no_leak(World).

%% The network says no.
dial_refused(Config) ->
    #{d := D, e := #{node := Other}, router := Router} = World =
        world(Config),
    meet(World),
    ok = node_driver:tell(D, {disconnect, Other}),
    [begin
         sh(Router, ["ip route add ", Kind, " ", ?THERE, "/32"]),
         Began = now_ms(),
         {error, Code, Text} = node_driver:tell(D, {connect, Other}),
         ct:log("~s, after ~p ms: ~p ~ts",
                [Kind, now_ms() - Began, Code, Text]),
         ?assert(lists:member(Code, ['CN_EEPMD', 'CN_EREFUSED', 'CN_EHOST',
                                     'CN_ETIMEDOUT', 'CN_EIO'])),
         sh(Router, ["ip route del ", Kind, " ", ?THERE, "/32"])
     end || Kind <- ["unreachable", "prohibit"]],
    meet(World),
    no_leak(World).

%% Attempts that are cut off at any place of the way: each ends, and leaves
%% nothing behind.
cut_while_dialling(Config) ->
    #{d := D, e := #{node := Other}, node := Node} = World =
        world(Config),
    meet(World),
    [begin
         [node_driver:tell(D, {disconnect, N}) || N <- [Other, Node]],
         Me = self(),
         Tries = [spawn_link(fun() ->
                                     Me ! {self(), node_driver:tell(
                                                     D, {connect, N})}
                             end) || N <- [Other, Node]],
         receive after Delay -> ok end,
         lose(World, Where),
         Results = [receive {T, R} -> R end || T <- Tries],
         ct:log("~p ms, ~s: ~p", [Delay, Where, Results]),
         find(World, Where)
     end || {Delay, Where} <- [{0, ?HERE}, {1, ?THERE}, {2, ?HERE}]],
    meet(World),
    no_leak(World).

%% Peers that are to be kept are connected again by themselves, once they can be,
%% whatever was the matter; the waits grow up to their bound.
kept_peers_come_back(Config) ->
    World = #{d := D, e := E, node := Node} = relate(Config),
    #{node := Other} = E,
    [node_driver:ok(D, {keep, N, 200, 800, 0, 0}) || N <- [Node, Other]],
    lose_all(World),
    [d_told(World, N, ?SILENT, silent()) || N <- [Node, Other]],
    lost_once(World, with_erlang),
    lost_once(World, with_c),
    %% An attempt fails, after the setup time of 3 s.
    [{retry, _, _, _, _, _, _} =
         wait_until(fun() -> failed_retry(D, N) end) || N <- [Node, Other]],
    find_all(World),
    [wait_until(fun() -> lists:member(N, node_driver:tell(D, peers)) end)
     || N <- [Node, Other]],
    %% What is disconnected by request stays so.
    [ok = node_driver:tell(D, {disconnect, N}) || N <- [Node, Other]],
    wait_until(fun() -> node_driver:tell(D, peers) =:= [] end),
    receive after 1500 -> ok end,
    ?assertEqual([], node_driver:tell(D, peers)),
    again(World).

failed_retry(D, Node) ->
    case [E || E <- node_driver:events(D), element(1, E) =:= retry,
               element(2, E) =:= Node, element(3, E) > 0] of
        [] -> false;
        [E | _] -> E
    end.
