%% SPDX-License-Identifier: Apache-2.0
%%
%% Full nodes: members of `global` as Erlang nodes are. The C nodes are those of
%% node_driver.c, the Erlang nodes peers of this release, which the node of the
%% suite is not connected to: each case has a cluster of its own. A name that
%% begins with `a` is smaller than one with `z`, and the smaller node decides
%% about names that two processes have.
-module(global_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1, wait_until/2]).
-import(node_driver, [tell/2, ok/2]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [joins, mesh, names].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

end_per_testcase(_, _) ->
    [cnode_test:stop_peer(P) || {{peer, P}, _} <- get()],
    cnode_test:stop_all().

%% ------------------------------------------------------------------- tools

%% Nodes of either kind: {erl, Peer, Node} or {c, Driver, Node}.
erl(Prefix) ->
    {Peer, Node} = cnode_test:start_peer(
                     #{name => cnode_test:unique_node(Prefix)}),
    put({peer, Peer}, true),
    {erl, Peer, Node}.

c(Prefix) ->
    c(Prefix, []).

c(Prefix, Args) ->
    D = node_driver:start(#{name => cnode_test:unique_node(Prefix),
                            args => ["--full" | Args]}),
    {c, D, maps:get(node, D)}.

name({_, _, Node}) ->
    Node.

call({erl, Peer, _}, M, F, A) ->
    peer:call(Peer, M, F, A, 30000).

connect({c, D, _}, To) ->
    ?assertEqual(up, tell(D, {connect, name(To)}));
connect({erl, _, _} = From, To) ->
    ?assertEqual(true, call(From, net_kernel, connect_node, [name(To)])).

known({c, D, _}) ->
    lists:sort(tell(D, global_nodes));
known(E) ->
    lists:sort(call(E, gen_server, call, [global_name_server, get_known])).

%% Until each of them knows exactly the others.
await_cluster(Nodes) ->
    Names = lists:sort([name(N) || N <- Nodes]),
    try wait_until(fun() ->
                           lists:all(fun(N) ->
                                             known(N) =:=
                                                 lists:delete(name(N), Names)
                                     end, Nodes)
                   end, 20000)
    catch error:{timeout, _} ->
            ct:fail("~p", [[{name(N), known(N)} || N <- Nodes]])
    end.

sync({c, D, _}) ->
    ok(D, {global_sync, 5000});
sync(E) ->
    ?assertEqual(ok, call(E, global, sync, [])).

whereis_name({c, D, _}, Name) ->
    tell(D, {global_whereis, Name});
whereis_name(E, Name) ->
    call(E, global, whereis_name, [Name]).

%% Until all see this pid (or undefined) under the name.
await_name(Nodes, Name, Pid) ->
    try wait_until(fun() ->
                           lists:all(fun(N) ->
                                             whereis_name(N, Name) =:= Pid
                                     end, Nodes)
                   end)
    catch error:{timeout, _} ->
            ct:fail("~p of ~p: ~p",
                    [Name, Pid, [{name(N), whereis_name(N, Name)}
                                 || N <- Nodes]])
    end.

%% A process that lives until it is killed: its pid.
proc({c, D, _}, Group) ->
    [Pid] = tell(D, {spawn, Group, 1, trap}),
    Pid;
proc(E, _) ->
    call(E, erlang, spawn, [timer, sleep, [infinity]]).

register_c({c, D, _}, Group, Name, Opts) ->
    tell(D, {global_register, Group, Name, Opts}).

%% -------------------------------------------------------------------- join

%% Two nodes, whoever connects.
joins(_) ->
    E = erl("m"),
    A = c("a"),
    connect(A, E),
    await_cluster([A, E]),
    sync(A),
    sync(E),
    Z = c("z"),
    connect(E, Z),
    await_cluster([A, E, Z]),
    [sync(N) || N <- [A, E, Z]],
    {c, D, _} = Z,
    node_driver:stop(D),
    await_cluster([A, E]),
    [sync(N) || N <- [A, E]].

%% Whoever meets one meets all.
mesh(_) ->
    [E1, E2] = Es = [erl("m"), erl("n")],
    connect(E1, E2),
    await_cluster(Es),
    A = c("a"),
    connect(A, E1),
    await_cluster([A | Es]),
    Z = c("z"),
    connect(Z, A),
    await_cluster([A, Z | Es]),
    E3 = erl("q"),
    connect(E3, Z),
    All = [A, Z, E3 | Es],
    await_cluster(All),
    [sync(N) || N <- All].

names(_) ->
    [E1, E2] = Es = [erl("m"), erl("n")],
    {c, AD, _} = A = c("a"),
    connect(A, E1),
    connect(E2, A),
    All = [A | Es],
    await_cluster(All),
    P = proc(A, p),
    Name = {order, <<"x">>, 1.5, "list", #{a => 1, b => [1000]}},
    ?assertEqual(ok, register_c(A, p, Name, [])),
    [?assertEqual(P, whereis_name(N, Name)) || N <- All],
    %% Taken is taken.
    Q = proc(A, q),
    ?assertMatch({error, 'CN_EEXIST', _}, register_c(A, q, Name, [])),
    Other = proc(E2, none),
    ?assertEqual(no, call(E1, global, register_name, [Name, Other])),
    %% Each has one name.
    ?assertMatch({error, 'CN_EEXIST', _}, register_c(A, p, second, [])),
    %% Replaced from either side.
    ?assertEqual(ok, register_c(A, q, Name, [replace])),
    await_name(All, Name, Q),
    ?assertEqual(yes, call(E1, global, re_register_name, [Name, Other])),
    await_name(All, Name, Other),
    %% Taken back from either side.
    ok(AD, {global_unregister, Name}),
    await_name(All, Name, undefined),
    ok(AD, {global_unregister, Name}),
    ?assertEqual(ok, register_c(A, p, back, [])),
    await_name(All, back, P),
    call(E2, global, unregister_name, [back]),
    await_name(All, back, undefined),
    %% The end of a process, and of a node.
    ?assertEqual(ok, register_c(A, p, mine, [])),
    ?assertEqual(yes, call(E2, global, register_name, [its, Other])),
    ?assertEqual([{its, Other}, {mine, P}], lists:sort(tell(AD, global_names))),
    ok(AD, {exit, p, normal}),
    await_name(All, mine, undefined),
    call(E2, erlang, exit, [Other, kill]),
    await_name(All, its, undefined),
    ?assertEqual(ok, register_c(A, q, mine, [])),
    node_driver:stop(AD),
    await_name(Es, mine, undefined).
