%% SPDX-License-Identifier: Apache-2.0
%%
%% Clusters of many nodes of all kinds, and what happens to them: parts that
%% meet again with the same names in them, members that are killed and come
%% back, members that stand still, Erlang nodes of several releases. What
%% matters most is told last in each case: no Erlang node has lost another one
%% because of a C node.
%%
%% C nodes are those of node_driver.c, Erlang nodes peers that the node of the
%% suite is not connected to; see cluster.erl. A name that begins with `a` is
%% smaller than one with `z`.
%%
%% How long it all is: $CLUSTER_NODES (8) C nodes in `members_die`, of which a
%% third dies $CLUSTER_ROUNDS (2) times; $CLUSTER_MERGES (2) rounds of
%% `parts_merge`; $CLUSTER_STORM (10) gusts of `storm`, up to $CLUSTER_PAUSE
%% (100) ms apart; $CLUSTER_TICK (4) the ticktime and $CLUSTER_SETUP (1) the
%% net_setuptime of the nodes in `stopped`, in seconds, where with
%% CLUSTER_STOPS=erl it is an Erlang node that stops. With $CLUSTER_FIGURES set
%% they print what they have measured.
-module(cluster_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1, wait_until/2]).
-import(node_driver, [tell/2, tell/3, ok/2]).
-import(cluster, [start/1, restart/1, name/1, call/4, each/2, connect/2, mesh/1,
                  connected/1, await/1, await/2, sync_all/1, sync/1, proc/2,
                  register_c/4, whereis_name/2, await_name/3, recorded/1,
                  downs/1, none_lost/1]).

suite() ->
    [{timetrap, {seconds, 90}}].

%% They wait much and do little.
all() ->
    [{group, all}].

groups() ->
    [{all, [parallel], [all_kinds, parts_merge, network_parts, members_die,
                        storm, stopped, stopped_shortly, releases]}].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_group(_, Config) ->
    Config.

end_per_group(_, _) ->
    ok.

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

end_per_testcase(_, _) ->
    cluster:stop(),
    [machines:kill("KILL", P) || {{epmd, P}, _} <- get()],
    ok.

%% ------------------------------------------------------------------- tools

setting(Name, Default) ->
    list_to_integer(os:getenv("CLUSTER_" ++ Name, Default)).

figure(Format, Args) ->
    case os:getenv("CLUSTER_FIGURES") of
        false -> ct:log(Format, Args);
        _ -> ct:pal(Format, Args)
    end.

now_ms() ->
    erlang:system_time(millisecond).

%% ------------------------------------------------------------------- kinds

%% global:sync/0 returns everywhere, whoever is there.
all_kinds(_) ->
    [E1, E2, A, Z, {c, VD, VN} = V, {c, HD, _} = H] =
        start([{erl, "m", #{}}, {erl, "n", #{}}, {c, "a", #{}}, {c, "z", #{}},
               {c, "v", #{args => ["--visible"]}}, {c, "h", #{args => []}}]),
    Es = [E1, E2],
    Members = [A, Z | Es],
    [connect(X, Y) || X <- [V, H], Y <- Es],
    mesh(Members),
    [connect(X, Y) || X <- [V, H], Y <- [A, Z]],
    sync_all(Members),
    [?assertMatch({error, 'CN_ENOTSUP', _}, tell(D, {global_sync, 100}))
     || D <- [VD, HD]],
    Visible = lists:sort([VN | [name(N) || N <- Members]]),
    [?assertEqual(lists:delete(name(E), Visible), connected(E)) || E <- Es],
    %% All nodes that are visible are asked for a lock.
    [?assertEqual(true, call(E, global, set_lock, [{all_of_us, E}]))
     || E <- Es],
    P = proc(Z, p),
    ?assertEqual(ok, register_c(Z, p, here, [])),
    [?assertEqual(P, whereis_name(N, here)) || N <- Members],
    %% While those come and go that are no members.
    [begin
         [cnode_test:kill9(D) || {c, D, _} <- Guests],
         sync_all(Members)
     end || Guests <- [[V], [H]]],
    [V2, H2] = start([{c, "v", #{args => ["--visible"]}},
                      {c, "h", #{args => []}}]),
    each(fun({X, Y}) -> connect(X, Y), sync(Y) end,
         [{X, Y} || X <- [V2, H2], Y <- Members]),
    sync_all(Members),
    none_lost(Es).

%% ------------------------------------------------------------------- parts

%% One cluster falls apart, both sides give the same names, and they meet
%% again. That it falls apart between these nodes and no others is only to be
%% had where Erlang does not prevent just that.
parts_merge(_) ->
    Old = #{args => ["-kernel", "prevent_overlapping_partitions", "false"]},
    [E1, E2, E3, A, B, Z] = All =
        start([{erl, "m", Old}, {erl, "n", Old}, {erl, "o", Old},
               {c, "a", #{}}, {c, "b", #{}}, {c, "z", #{}}]),
    mesh(All),
    Sides = [[E1, A], [E2, E3, B, Z]],
    [begin
         fall_apart(Sides),
         Conflicts = conflicts(Sides, [kill, notify, notify_all], Round),
         [From, To] = lists:nth(Round rem 4 + 1, [[E3, E1], [Z, E1], [E1, B],
                                                  [A, Z]]),
         meet(From, To, All, Conflicts),
         [sync(N) || N <- All]
     end || Round <- lists:seq(1, setting("MERGES", "2"))].

fall_apart([One, Other] = Sides) ->
    [part(X, Y) || X <- One, Y <- Other],
    [await(Side) || Side <- Sides].

part({c, D, _}, Y) -> ok(D, {disconnect, name(Y)});
part(E, Y) -> true = call(E, erlang, disconnect_node, [name(Y)]).

%% The same name on an Erlang and a C node of one side, and on those of the
%% other, by each method: [{Name, Method, [{Node, Group, Pid}, ...]}].
conflicts(Sides, Methods, Round) ->
    [One, Other] = [[hd([E || {erl, _, _} = E <- Side]),
                     lists:last([C || {c, _, _} = C <- Side])]
                    || Side <- Sides],
    [conflict({Round, Method, name(X), name(Y)}, Method, X, Y)
     || Method <- Methods, X <- One, Y <- Other].

conflict(Name, Method, X, Y) ->
    {Name, Method, [named(N, Name, Method) || N <- [X, Y]]}.

named(N, Name, Method) ->
    Group = list_to_atom(cnode_test:unique("p")),
    Pid = proc(N, Group),
    named(N, Group, Name, Pid, Method),
    {N, Group, Pid}.

named(N, Group, Name, Pid, Method) ->
    case N of
        {c, _, _} -> ?assertEqual(ok, register_c(N, Group, Name, [Method]));
        _ -> ?assertEqual(yes, call(N, global, register_name,
                                    [Name, Pid, method(Method)]))
    end.

method(kill) -> {global, random_exit_name};
method(notify) -> {global, random_notify_name};
method(notify_all) -> {global, notify_all_name}.

%% One has each name then, all agree who, and the others are told.
meet(From, To, All, Conflicts) ->
    Start = now_ms(),
    connect(From, To),
    await(All),
    figure("~p nodes, two parts, ~p names: one after ~p ms",
           [length(All), length(Conflicts), now_ms() - Start]),
    [decided(All, Conflict) || Conflict <- Conflicts],
    [finish(P) || {_, _, Ps} <- Conflicts, P <- Ps].

decided(All, {Name, Method, Ps}) ->
    [{_, _, First} = Winner, Loser] =
        lists:sort(fun({N, _, _}, {M, _, _}) -> name(N) =< name(M) end, Ps),
    await_name(All, Name, case Method of notify_all -> undefined;
                                         _ -> First end),
    {Won, Lost} = outcome(Method, Name, Winner, Loser),
    try wait_until(fun() -> {fate(Winner), fate(Loser)} =:= {Won, Lost} end)
    catch error:{timeout, _} ->
            ct:fail("~p, by ~p: ~p, not ~p",
                    [Name, Method, {fate(Winner), fate(Loser)}, {Won, Lost}])
    end.

outcome(kill, _, _, _) ->
    {[], dead};
outcome(notify, Name, _, _) ->
    {[], [{global_name_conflict, Name}]};
outcome(notify_all, Name, {_, _, P}, {_, _, Q}) ->
    {[{global_name_conflict, Name, Q}], [{global_name_conflict, Name, P}]}.

%% What a process was told, or that it is dead.
fate({{c, D, _}, Group, Pid}) ->
    case node_driver:report(D, Group) of
        #{living := 1} -> [M || {P, M} <- tell(D, global_told), P =:= Pid];
        #{ends := [{killed, 1}]} -> dead
    end;
fate({E, _, Pid}) ->
    case call(E, erlang, process_info, [Pid, messages]) of
        {messages, Messages} -> Messages;
        undefined -> dead
    end.

finish({{c, D, _}, Group, _}) ->
    tell(D, {exit, Group, normal});
finish({E, _, Pid}) ->
    call(E, erlang, exit, [Pid, kill]).

%% The network between two machines fails and comes back. Each side stays
%% together, though all of its nodes notice at another time.
network_parts(Config) ->
    case machines:missing() of
        [] -> network_falls_apart(Config);
        [Why | _] -> {skip, Why}
    end.

network_falls_apart(_) ->
    #{here := Here, there := There, epmds := Epmds} = World = machines:make(),
    [put({epmd, P}, true) || P <- Epmds],
    Spec = fun(Kind, Prefix, Space, Host) ->
                   Args = case Kind of
                              erl -> ["-kernel", "net_ticktime", "4"];
                              c -> ["--full", "--ticktime-s", "4"]
                          end,
                   {Kind, Prefix, #{wrap => machines:inside(Space),
                                    host => Host, args => Args}}
           end,
    [E1, A, E2, E3, Z] = All =
        start([Spec(erl, "m", Here, machines:here()),
               Spec(c, "a", Here, machines:here()),
               Spec(erl, "n", There, machines:there()),
               Spec(erl, "o", There, machines:there()),
               Spec(c, "z", There, machines:there())]),
    Sides = [[E1, A], [E2, E3, Z]],
    mesh(All),
    Start = now_ms(),
    machines:lose_all(World),
    [await(Side) || Side <- Sides],
    figure("the network fails, ticktime 4 s: two parts after ~p ms",
           [now_ms() - Start]),
    [sync(N) || N <- All],
    Conflicts = conflicts(Sides, [kill, notify], 1),
    machines:find_all(World),
    meet(E3, A, All, Conflicts),
    [sync(N) || N <- All],
    none_lost([E2, E3]),
    [?assertEqual([], [D || {down, N, _, _, _, _, _} = D <-
                                node_driver:events(C), N =:= name(Mate)])
     || {{c, C, _}, Mate} <- [{A, E1}, {Z, E2}, {Z, E3}]].

%% ----------------------------------------------------------------- members

%% Many C nodes, of which a third is killed, and comes back under the same
%% names: after the others know of it, or at once.
members_die(_) ->
    N = setting("NODES", "8"),
    Rounds = setting("ROUNDS", "2"),
    ct:timetrap({seconds, 90 + Rounds * (10 + 2 * N)}),
    Es = start([{erl, P, #{}} || P <- ["d", "m", "q"]]),
    mesh(Es),
    Cs = start([{c, any(["a", "f", "o", "z"]) ++ integer_to_list(I), #{}}
                || I <- lists:seq(1, N)]),
    T0 = now_ms(),
    each(fun(C) -> connect(C, any(Es)) end, Cs),
    await(Es ++ Cs, 2 * ?WAIT),
    figure("~p C nodes with ~p of Erlang: mesh complete after ~p ms",
           [N, length(Es), now_ms() - T0]),
    Last = lists:foldl(fun(Round, Now) -> third_dies(Round, Es, Now) end, Cs,
                       lists:seq(1, Rounds)),
    sync_all(Es ++ Last),
    none_lost(Es),
    ct:log("~p", [[[L || {{log, _, _}, _} = L <- recorded(E)] || E <- Es]]).

any(List) ->
    lists:nth(rand:uniform(length(List)), List).

third_dies(Round, Es, Cs) ->
    {Dead, Living} = lists:split((length(Cs) + 2) div 3, shuffled(Cs)),
    Rest = Es ++ Living,
    Before = [{C, length(node_driver:events(D))} || {c, D, _} = C <- Living],
    T0 = now_ms(),
    kill_all(Dead),
    %% Nobody who is gone holds up who is there.
    E = any(Es),
    ?assertEqual(yes, call(E, global, register_name,
                           [{round, Round}, proc(E, none)])),
    Registered = now_ms() - T0,
    Calm = Round rem 2 =:= 1,
    Calm andalso await(Rest, 2 * ?WAIT),
    T1 = now_ms(),
    New = restart(Dead),
    each(fun(C) -> connect(C, any(Rest)) end, New),
    await(Rest ++ New, 2 * ?WAIT),
    figure("round ~p: ~p of ~p die; a name after ~p ms~s; all back ~p ms later",
           [Round, length(Dead), length(Cs), Registered,
            [io_lib:format(", views agree after ~p ms", [T1 - T0]) || Calm],
            now_ms() - T1]),
    Pid = whereis_name(E, {round, Round}),
    ?assert(is_pid(Pid)),
    await_name(Rest ++ New, {round, Round}, Pid),
    [lost_only(Dead, C, Known) || {C, Known} <- Before],
    New ++ Living.

shuffled(List) ->
    [X || {_, X} <- lists:sort([{rand:uniform(), X} || X <- List])].

%% All at once.
kill_all(Cs) ->
    Pids = [[" ", integer_to_list(OsPid)] || {c, #{os_pid := OsPid}, _} <- Cs],
    os:cmd(lists:flatten(["kill -KILL" | Pids])),
    [cnode_test:status(D) || {c, D, _} <- Cs].

lost_only(Dead, {c, D, Node}, Known) ->
    Names = [name(C) || C <- Dead],
    ?assertEqual({Node, []},
                 {Node, [E || {down, N, _, _, _, _, _} = E <-
                                  lists:nthtail(Known, node_driver:events(D)),
                              not lists:member(N, Names)]}).

%% Members are killed, cut off, and stand still, one upon the other, before the
%% rest has noticed; each comes back by itself, with its name.
storm(_) ->
    Steps = setting("STORM", "10"),
    ct:timetrap({seconds, 120 + 2 * Steps}),
    Es = start([{erl, P, #{}} || P <- ["d", "m", "q"]]),
    mesh(Es),
    Args = #{args => ["--full", "--max-stall-ms", "300"]},
    Cs = [returning(C, Es)
          || C <- start([{c, P, Args} || P <- ["a", "f", "n", "p", "r", "z"]])],
    await(Es ++ Cs),
    Last = lists:foldl(fun(_, Now) -> gust(any(Now), Es, Now) end, Cs,
                       lists:seq(1, Steps)),
    Start = now_ms(),
    await(Es ++ Last, 2 * ?WAIT),
    figure("~p gusts, the last ~p ms ago, and all are back",
           [Steps, now_ms() - Start]),
    [begin
         Name = {of_it, name(C)},
         Pid = whereis_name(C, Name),
         ?assertEqual(name(C), node(Pid)),
         await_name(Es ++ Last, Name, Pid)
     end || C <- Last],
    sync_all(Es ++ Last),
    none_lost(Es).

%% It connects to two of these whenever it is not, and has a name.
returning({c, D, Node} = C, Es) ->
    proc(C, p),
    [keep(C, E) || E <- lists:sublist(shuffled(Es), 2)],
    ok(D, {global_register, p, {of_it, Node}, []}),
    C.

keep({c, D, _} = C, E) ->
    ok(D, {keep, name(E), 50, 500, 0, 0}),
    C.

%% One thing happens to it, and it is not waited for what comes of it.
gust(C, Es, Cs) ->
    New = gust(rand:uniform(6), C, any(Es), Es, lists:delete(C, Cs)),
    receive after rand:uniform(setting("PAUSE", "100")) -> ok end,
    [New | lists:delete(C, Cs)].

gust(1, C, _, Es, _) ->
    kill_all([C]),
    [Again] = restart([C]),
    returning(Again, Es);
gust(2, {c, D, _} = C, E, _, _) ->
    tell(D, {disconnect, name(E)}),
    keep(C, E); % which ends with a disconnect
gust(3, C, E, _, _) ->
    call(E, erlang, disconnect_node, [name(C)]),
    C;
gust(4, {c, D, _} = C, _, _, Others) ->
    tell(D, {disconnect, name(any(Others))}),
    C;
gust(5, {c, D, _} = C, _, _, _) ->
    cnode_test:signal(D, "STOP"),
    spawn(fun() ->
                  receive after 700 -> cnode_test:signal(D, "CONT") end
          end),
    C;
gust(6, C, E, _, _) ->
    call(E, global, register_name, [{by, E, make_ref()}, proc(E, none)]),
    C.

%% ------------------------------------------------------------------- stops

%% A member stands still until the others give it up, and is woken. What the
%% cluster suffers meanwhile is the table in doc/node.md: it is what it suffers
%% of an Erlang node.
stopped(_) ->
    Tick = setting("TICK", "4"),
    Ms = 1000 * (60 + 2 * Tick + 4 * setting("SETUP", "1")),
    ct:timetrap(4 * Ms),
    {[E1, E2, E3] = Es, A, Z} =
        stopping_cluster(Tick, os:getenv("CLUSTER_STOPS", "c")),
    Mine = proc(Z, p),
    named(Z, p, mine, Mine, kill),
    Kill = killer(Z),
    Start = now_ms(),
    Kill("STOP"),
    Suffered = meanwhile(Start, Ms, E1, E2, E3, A, Z),
    [wait_until(fun() -> lists:keymember(name(Z), 1, downs(N)) end, Ms)
     || N <- [A | Es]],
    figure("~p stops, ticktime ~p s~n~p~n~p~n~p~n~ts",
           [name(Z), Tick, Suffered,
            [{name(E), Reason, At - Start}
             || E <- Es, {Node, Reason, At} <- downs(E), Node =:= name(Z)],
            [{name(E), At - Start, L}
             || E <- Es, {{log, _, _} = L, At} <- recorded(E), At >= Start],
            cnode_test:stderr(element(2, A))]),
    ?assertEqual([yes, ok, ok, true, true, Mine, name(E1), pang],
                 [Result || {_, _, Result} <- Suffered]),
    await([A | Es]),
    none_lost(Es),
    Kill("CONT"),
    element(1, Z) =:= c andalso back(Es, [Z, A | Es], Ms, mine, Mine).

stopping_cluster(Tick, Kind) ->
    T = integer_to_list(Tick),
    Erl = #{args => ["-kernel", "net_ticktime", T, "net_setuptime",
                     os:getenv("CLUSTER_SETUP", "1")]},
    C = #{args => ["--full", "--ticktime-s", T]},
    [A, E1 | _] = All =
        start([{c, "a", C}, {erl, "m", Erl}, {erl, "n", Erl}, {erl, "o", Erl},
               case Kind of "c" -> {c, "z", C}; _ -> {erl, "z", Erl} end]),
    mesh(All),
    Z = lists:last(All),
    Kind =:= "c" andalso
        ok(element(2, Z), {keep, name(E1), 100, 1000, 0, 0}),
    {lists:sublist(All, 2, 3), A, Z}.

%% Sends signals to it, also while it is stopped.
killer({c, D, _}) ->
    fun(Signal) -> cnode_test:signal(D, Signal) end;
killer(E) ->
    Pid = call(E, os, getpid, []),
    fun(Signal) -> machines:kill(Signal, Pid) end.

%% [{What, Ms until it was done, Result}], all at once.
meanwhile(Start, Ms, E1, E2, E3, {c, AD, _} = A, Z) ->
    P1 = proc(E1, none),
    _ = proc(A, p),
    each(fun({What, Fun}) ->
                 Result = Fun(Ms),
                 {What, now_ms() - Start, Result}
         end,
         [{"register_name on m", remote(E1, global, register_name, [one, P1])},
          {"register on the C node a",
           fun(_) -> tell(AD, {global_register, p, two, []}, Ms) end},
          {"sync/0 on n", remote(E2, global, sync, [])},
          {"set_lock at all nodes, on n",
           remote(E2, global, set_lock, [{own, me}])},
          {"set_lock at m and n, on n",
           remote(E2, global, set_lock, [{ours, me}, [name(E1), name(E2)]])},
          {"whereis_name of its process on o",
           remote(E3, global, whereis_name, [mine])},
          {"erpc from o to m", remote(E3, erpc, call, [name(E1), erlang, node,
                                                       []])},
          {"ping from o", remote(E3, net_adm, ping, [name(Z)])}]).

%% It is, with the name that it had.
back(Es, All, Ms, Name, Pid) ->
    Start = now_ms(),
    await(All, Ms),
    await_name(All, Name, Pid),
    figure("woken, it is back after ~p ms~n~ts",
           [now_ms() - Start, cnode_test:stderr(element(2, hd(All)))]),
    sync_all(All),
    none_lost(Es).

remote({erl, Peer, _}, M, F, A) ->
    fun(Ms) -> peer:call(Peer, M, F, A, Ms) end.

%% It stands still for longer than it may, by its own clock: it leaves before it
%% does anything else, and comes back. (It may for so long as a machine that is
%% busy with others does not make it.)
stopped_shortly(_) ->
    [E1, E2, _, {c, ZD, ZN} = Z] = All =
        start([{erl, "m", #{}}, {erl, "n", #{}}, {c, "a", #{}},
               {c, "z", #{args => ["--full", "--max-stall-ms", "2000"]}}]),
    Es = [E1, E2],
    mesh(All),
    ok(ZD, {keep, name(E2), 100, 1000, 0, 0}),
    Mine = proc(Z, p),
    named(Z, p, mine, Mine, kill),
    P = proc(E1, none),
    cnode_test:signal(ZD, "STOP"),
    Me = self(),
    Start = now_ms(),
    spawn_link(fun() ->
                       yes = call(E1, global, register_name, [one, P]),
                       Me ! {registered, now_ms() - Start}
               end),
    receive {registered, _} -> ct:fail("it was not asked")
    after 4000 -> ok
    end,
    cnode_test:signal(ZD, "CONT"),
    receive {registered, Ms} ->
            figure("stopped for 4000 ms: a name after ~p ms", [Ms])
    after ?WAIT -> ct:fail("not registered")
    end,
    [wait_until(fun() -> lists:keymember(ZN, 1, downs(E)) end) || E <- Es],
    ?assertNotEqual(nomatch, string:find(cnode_test:stderr(ZD),
                                         "has stood still for")),
    back(Es, [Z | lists:delete(Z, All)], ?WAIT, mine, Mine),
    await_name(All, one, P).

%% ---------------------------------------------------------------- releases

%% Erlang nodes of three releases, and C nodes of all kinds.
releases(_) ->
    Roots = [string:split(R, "=")
             || R <- string:lexemes(os:getenv("OTP_ROOTS", ""), " ")],
    case Roots of
        [] -> {skip, "needs roots with other releases (scripts/otp-root) and "
                   "to be run outside of them, by root"};
        _ -> of_releases(Roots)
    end.

of_releases(Roots) ->
    [F1, F2, V, H | Es] =
        start([{c, "a", #{}}, {c, "z", #{}},
               {c, "v", #{args => ["--visible"]}}, {c, "h", #{args => []}},
               {erl, "m", #{}}
               | [{erl, "n" ++ Otp, #{root => Root}}
                  || [Otp, Root] <- Roots]]),
    Cs = [F1, F2, V, H],
    Members = [F1, F2 | Es],
    ?assertEqual([erlang:system_info(otp_release) | [Otp || [Otp, _] <- Roots]],
                 [call(E, erlang, system_info, [otp_release]) || E <- Es]),
    [connect(X, Y) || X <- [V, H], Y <- Es],
    mesh(Members),
    [connect(X, Y) || X <- [V, H], Y <- [F1, F2]],
    connect(H, V),
    sync_all(Members),
    names_of_all(Members),
    [groups_of(E, Cs) || E <- Es],
    [calls_between(E, C) || E <- Es, C <- Cs],
    sync_all(Members),
    none_lost(Es).

names_of_all(Members) ->
    Named = [named(N, {name, name(N)}, kill) || N <- Members],
    [?assertEqual(Pid, whereis_name(X, {name, name(N)}))
     || {N, _, Pid} <- Named, X <- Members].

%% A scope for each Erlang node, for OTP 29 ends that of OTP 25.
groups_of(E, Cs) ->
    Scope = list_to_atom(cnode_test:unique("scope")),
    {ok, Server} = call(E, pg, start, [Scope]),
    Pid = proc(E, none),
    ok = call(E, pg, join, [Scope, {a, group}, Pid]),
    Pids = [begin
                P = proc(C, Scope),
                ok(D, {pg_join, Scope, {a, group}, Scope}),
                P
            end || {c, D, _} = C <- Cs],
    All = lists:sort([Pid | Pids]),
    Members = fun({c, D, _}) -> tell(D, {pg_members, Scope, {a, group}});
                 (_) -> call(E, pg, get_members, [Scope, {a, group}])
              end,
    [wait_until(fun() -> lists:sort(Members(N)) =:= All end)
     || N <- [E | Cs]],
    ?assertEqual(Server, call(E, erlang, whereis, [Scope])).

calls_between(E, {c, D, Node}) ->
    ?assertEqual(Node, call(E, erpc, call, [Node, erlang, node, []])),
    ?assertEqual(Node, call(E, rpc, call, [Node, erlang, node, []])),
    ?assertMatch(#{}, call(E, gen_server, call,
                           [{driver, Node}, stats, ?WAIT])),
    ?assertEqual(pong, call(E, net_adm, ping, [Node])),
    ?assertEqual({'CN_OK', name(E)},
                 tell(D, {rpc, name(E), erlang, node, [], ?WAIT})).
