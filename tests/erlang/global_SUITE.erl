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
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1]).
-import(node_driver, [tell/2, tell/3, ok/2]).
-import(cluster, [erl/1, erl/2, c/1, c/2, name/1, call/4, connect/2, known/1,
                  connected/1, await_cluster/1, sync/1, whereis_name/2,
                  await_name/3, proc/2, register_c/4]).

suite() ->
    [{timetrap, {seconds, 60}}].

%% They wait much and do little.
all() ->
    [{group, all}].

groups() ->
    [{all, [parallel], cases()}].

cases() ->
    [joins, mesh, names, asked_by_erlang, asked_by_rpc, asked_by_command,
     hidden_stays_out,
     conflict_c_decides, conflict_erlang_decides, conflict_of_two_c,
     conflict_notify, conflict_notify_all, resolved_by_a_third,
     two_parts_merge, race, lost_one, c_nodes_part, others_part, reachable,
     stalled, stopped, erlang_has_the_lock, c_has_the_lock,
     lock_goes_with_its_holder, lock_is_fought_for, lock_taken_late,
     global_groups].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

init_per_group(_, Config) ->
    Config.

end_per_group(_, _) ->
    ok.

end_per_testcase(_, _) ->
    cluster:stop().

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

%% What else an Erlang node may ask the server of another.
asked_by_erlang(_) ->
    E = erl("m"),
    {c, AD, AN} = A = c("a"),
    connect(A, E),
    await_cluster([A, E]),
    Ask = fun(Request) ->
                  call(E, gen_server, call, [{global_name_server, AN}, Request])
          end,
    ?assertEqual([name(E)], Ask(get_known)),
    wait_until(fun() -> Ask(get_synced) =:= [name(E)] end),
    ?assertEqual(8, Ask(get_protocol_version)),
    ?assertEqual([], Ask(get_names_ext)),
    ?assertEqual(ok, Ask({sync, [name(E), AN, 'nobody@nowhere']})),
    P = proc(A, p),
    ?assertEqual(ok, register_c(A, p, one, [])),
    ?assertEqual({P, undefined},
                 call(E, ?MODULE, ask_where, [AN, one, two])),
    %% Registered for another node.
    ?assertEqual(yes, call(E, global, register_name_external, [ext, P])),
    ?assertEqual([{ext, P, name(E)}], Ask(get_names_ext)),
    ?assertEqual(P, tell(AD, {global_whereis, ext})),
    call(E, global, unregister_name_external, [ext]),
    await_name([A, E], ext, undefined).

ask_where(Node, Name1, Name2) ->
    list_to_tuple([begin
                       Ref = make_ref(),
                       {global_name_server, Node} !
                           {whereis, Name, {self(), Ref}},
                       receive {Ref, Pid} -> Pid after ?WAIT -> timeout end
                   end || Name <- [Name1, Name2]]).

%% The functions of the module `global`, applied on a C node.
asked_by_rpc(_) ->
    E = erl("m"),
    {c, _, AN} = A = c("a"),
    connect(A, E),
    await_cluster([A, E]),
    Global = fun(F, Args) -> call(E, erpc, call, [AN, global, F, Args]) end,
    ?assertEqual(ok, Global(sync, [])),
    [P, Q] = [proc(A, p), proc(E, none)],
    ?assertEqual(yes, Global(register_name, [{a, 1}, P])),
    ?assertEqual(no, Global(register_name, [{a, 1}, Q])),
    ?assertEqual(no, Global(register_name, [b, P])),
    ?assertEqual(yes, Global(register_name,
                             [b, Q, fun global:random_notify_name/3])),
    [await_name([A, E], N, Pid) || {N, Pid} <- [{{a, 1}, P}, {b, Q}]],
    ?assertEqual([b, {a, 1}], lists:sort(Global(registered_names, []))),
    ?assertEqual(P, Global(whereis_name, [{a, 1}])),
    ?assertEqual(undefined, Global(whereis_name, [c])),
    ?assertEqual(ok, Global(unregister_name, [b])),
    ?assertEqual(yes, Global(re_register_name, [{a, 1}, Q])),
    await_name([A, E], {a, 1}, Q),
    await_name([A, E], b, undefined),
    %% It is for it as for an Erlang node, by rpc too.
    [?assertEqual(call(E, erpc, call, [N, global, whereis_name, [{a, 1}]]),
                  call(E, rpc, call, [AN, global, whereis_name, [{a, 1}]]))
     || N <- [name(E), AN]],
    %% The method is that of Erlang's own.
    ?assertMatch({badrpc, {'EXIT', {badarg, _}}},
                 call(E, rpc, call, [AN, global, register_name,
                                     [c, P, {no, method}]])).

%% `cnode global` is about a C node as well.
asked_by_command(_) ->
    {c, D, AN} = A = c("a"),
    P = proc(A, p),
    ?assertEqual(ok, register_c(A, p, shop, [])),
    Run = fun(Args) -> cnode_test:run(["global", atom_to_list(AN) | Args]) end,
    Pid = unicode:characters_to_binary(
            element(2, cnode_test:run(["global", atom_to_list(AN)]))),
    ?assertMatch(<<"shop #Pid<", _/binary>>, Pid),
    ?assertEqual({0, Pid, <<>>}, Run(["--sync"])),
    ?assertEqual({0, Pid, <<>>}, Run(["whereis", "shop"])),
    ?assertMatch({0, <<>>, _}, Run(["unregister", "shop"])),
    ?assertEqual(undefined, tell(D, {global_whereis, shop})),
    [_, Text] = binary:split(string:trim(Pid), <<" ">>),
    ?assertMatch({0, <<"{a,1} #Pid<", _/binary>>, _},
                 Run(["register", "{a, 1}", binary_to_list(Text)])),
    ?assertEqual(P, tell(D, {global_whereis, {a, 1}})),
    H = c("h", #{args => []}),
    {1, <<>>, Why} = cnode_test:run(["global", atom_to_list(name(H))]),
    ?assertNotEqual(nomatch, string:find(Why, "or a full one of C?")).

%% Neither side of a connection that one of them wants hidden is a member.
hidden_stays_out(_) ->
    {erl, _, Node} = E = erl("m", #{args => ["-hidden"]}),
    {c, AD, _} = A = c("a"),
    connect(A, E),
    {c, HD, _} = H = c("h", #{args => []}),
    connect(H, A),
    sync(A),
    sync(E),
    ?assertEqual([], known(A)),
    ?assertEqual([], known(E)),
    ?assertMatch({error, 'CN_ENOTSUP', _}, tell(HD, {global_sync, 100})),
    ?assertEqual(lists:sort([Node, name(H)]), lists:sort(tell(AD, peers))).

%% --------------------------------------------------------------- conflicts

%% The same name on both, which are then connected: the pids.
both_have(N1, N2, Name) ->
    Pids = [begin
                Pid = proc(N, p),
                case N of
                    {c, _, _} -> ?assertEqual(ok, register_c(N, p, Name, []));
                    _ -> ?assertEqual(yes, call(N, global, register_name,
                                                [Name, Pid]))
                end,
                Pid
            end || N <- [N1, N2]],
    connect(N2, N1),
    await_cluster([N1, N2]),
    Pids.

killed({c, D, _}, _) ->
    wait_until(fun() ->
                       maps:get(ends, node_driver:report(D, p)) =:=
                           [{killed, 1}]
               end);
killed(E, Pid) ->
    wait_until(fun() -> not call(E, erlang, is_process_alive, [Pid]) end).

%% The process on the larger node dies, whoever decides.
conflict_c_decides(_) ->
    A = c("a"),
    E = erl("m"),
    [P, Q] = both_have(A, E, {a, name}),
    await_name([A, E], {a, name}, P),
    killed(E, Q).

conflict_erlang_decides(_) ->
    E = erl("m"),
    Z = c("z"),
    [P, Q] = both_have(E, Z, {a, name}),
    await_name([E, Z], {a, name}, P),
    killed(Z, Q).

conflict_of_two_c(_) ->
    A = c("a"),
    Z = c("z"),
    [P, Q] = both_have(A, Z, {a, name}),
    await_name([A, Z], {a, name}, P),
    killed(Z, Q).

told({c, D, _}) ->
    tell(D, global_told).

%% The one on the larger node is told, and lives.
conflict_notify(_) ->
    A = c("a"),
    Z = c("z"),
    E = erl("m"),
    [P, Q] = [proc(N, p) || N <- [A, Z]],
    ?assertEqual(ok, register_c(A, p, n, [notify])),
    ?assertEqual(ok, register_c(Z, p, n, [notify])),
    connect(E, A),
    await_cluster([A, E]),
    connect(E, Z),
    await_cluster([A, E, Z]),
    await_name([A, E, Z], n, P),
    wait_until(fun() -> told(Z) =:= [{Q, {global_name_conflict, n}}] end),
    ?assertEqual([], told(A)).

%% Neither has it, both are told.
conflict_notify_all(_) ->
    E = erl("m"),
    Z = c("z"),
    Q = proc(Z, p),
    P = proc(E, none),
    ?assertEqual(ok, register_c(Z, p, n, [notify_all])),
    ?assertEqual(yes, call(E, global, register_name,
                           [n, P, {global, notify_all_name}])),
    connect(E, Z),
    await_cluster([E, Z]),
    await_name([E, Z], n, undefined),
    wait_until(fun() -> told(Z) =:= [{Q, {global_name_conflict, n, P}}] end),
    wait_until(fun() ->
                       call(E, erlang, process_info, [P, messages]) =:=
                           {messages, [{global_name_conflict, n, Q}]}
               end).

%% The node that decides has the method applied on the node of the process that
%% it knows, which is a C node.
resolved_by_a_third(_) ->
    [E1, E2] = [erl("m"), erl("n")],
    A = c("a"),
    connect(A, E1),
    await_cluster([A, E1]),
    P = proc(A, p),
    ?assertEqual(ok, register_c(A, p, n, [])),
    Q = proc(E2, none),
    ?assertEqual(yes, call(E2, global, register_name, [n, Q])),
    connect(E1, E2),
    await_cluster([A, E1, E2]),
    await_name([A, E1, E2], n, P),
    killed(E2, Q).

%% Two parts with two nodes each, and names of their own.
two_parts_merge(_) ->
    [E1, E2] = [erl("m"), erl("n")],
    [A, Z] = [c("a"), c("z")],
    connect(A, E1),
    connect(Z, E2),
    await_cluster([A, E1]),
    await_cluster([Z, E2]),
    P = proc(A, p),
    Q = proc(Z, p),
    R = proc(E2, none),
    ?assertEqual(ok, register_c(A, p, one, [])),
    ?assertEqual(ok, register_c(Z, p, two, [])),
    ?assertEqual(yes, call(E2, global, register_name, [three, R])),
    connect(A, Z),
    All = [A, Z, E1, E2],
    await_cluster(All),
    [await_name(All, N, Pid) || {N, Pid} <- [{one, P}, {two, Q}, {three, R}]],
    [sync(N) || N <- All].

%% -------------------------------------------------------------------- race

%% All want the same name at once: one has it.
race(_) ->
    Rounds = list_to_integer(os:getenv("GLOBAL_RACES", "3")),
    ct:timetrap({seconds, 60 + 10 * Rounds}),
    [E1, E2] = [erl("m"), erl("n")],
    [A, Z] = [c("a"), c("z")],
    [connect(N, E1) || N <- [E2, A, Z]],
    All = [A, Z, E1, E2],
    await_cluster(All),
    Pids = [proc(N, p) || N <- All],
    [round(All, Pids, {name, I}) || I <- lists:seq(1, Rounds)].

round(All, Pids, Name) ->
    Me = self(),
    [spawn_link(fun() -> Me ! {Pid, want(N, Name, Pid)} end)
     || {N, Pid} <- lists:zip(All, Pids)],
    Won = [Pid || Pid <- Pids,
                  receive {Pid, Answer} -> Answer after ?WAIT ->
                          ct:fail("no answer")
                  end],
    ?assertMatch([_], Won),
    [?assertEqual(Won, [whereis_name(N, Name)]) || N <- All],
    call(lists:last(All), global, unregister_name, [Name]),
    [?assertEqual(undefined, whereis_name(N, Name)) || N <- All].

want({c, _, _} = C, Name, _) ->
    case register_c(C, p, Name, []) of
        ok -> true;
        {error, 'CN_EEXIST', _} -> false
    end;
want(E, Name, Pid) ->
    call(E, global, register_name, [Name, Pid]) =:= yes.

%% -------------------------------------------------------------- partitions

%% It loses one of them: it is out, and they stay together.
lost_one(_) ->
    [E1, E2] = Es = [erl("m"), erl("n")],
    connect(E1, E2),
    await_cluster(Es),
    {c, D, _} = A = c("a"),
    connect(A, E1),
    await_cluster([A | Es]),
    ok(D, {disconnect, name(E2)}),
    wait_until(fun() -> tell(D, peers) =:= [] andalso known(A) =:= [] end),
    await_cluster(Es),
    [sync(E) || E <- Es],
    %% And back.
    connect(A, E2),
    await_cluster([A | Es]).

%% C nodes lose each other, one or more at once, and the Erlang nodes have all:
%% they meet again, and no Erlang node loses anybody.
c_nodes_part(_) ->
    Rounds = list_to_integer(os:getenv("GLOBAL_PARTS", "1")),
    ct:timetrap({seconds, 60 + 20 * Rounds}),
    [E1 | _] = Es = [erl("m"), erl("n")],
    Cs = [c(Name) || Name <- ["a", "p", "z"]],
    All = Cs ++ Es,
    [connect(N, E1) || N <- tl(Es) ++ Cs],
    await_cluster(All),
    Names = [begin
                 Pid = proc(C, p),
                 ?assertEqual(ok, register_c(C, p, {of_c, name(C)}, [])),
                 {{of_c, name(C)}, Pid}
             end || C <- Cs],
    [begin
         Pairs = [{C, D} || C <- Cs, D <- Cs, name(C) < name(D)],
         Cut = [{C, D, lost(D, C)}
                || {C, D} <- lists:sublist(shuffle(Pairs), 1 + I rem 3)],
         [ok(D, {disconnect, name(To)}) || {{c, D, _}, To, _} <- Cut],
         %% They may have met again by the time that they are asked.
         [wait_until(fun() -> lost(D, C) > Before end)
          || {C, D, Before} <- Cut],
         await_cluster(All),
         [await_name(All, N, Pid) || {N, Pid} <- Names],
         [sync(N) || N <- All]
     end || I <- lists:seq(1, Rounds)],
    [?assertEqual([], cluster:downs(E)) || E <- Es].

%% How often this one has lost that one.
lost({c, D, _}, Of) ->
    length([x || {down, Node, _, _, _, _, _} <- node_driver:events(D),
                 Node =:= name(Of)]).

shuffle(List) ->
    [X || {_, X} <- lists:sort([{rand:uniform(), X} || X <- List])].

%% Two of them lose each other. Nobody may be connected with both.
others_part(_) ->
    [E1, E2] = Es = [erl("m"), erl("n")],
    connect(E1, E2),
    await_cluster(Es),
    {c, D, _} = A = c("a"),
    connect(A, E1),
    await_cluster([A | Es]),
    true = call(E1, erlang, disconnect_node, [name(E2)]),
    wait_until(fun() ->
                       length(tell(D, peers)) < 2 andalso
                           connected(A) =:= known(A)
               end).

%% A server that is busy takes a lock for a node that it has lost meanwhile: to
%% watch who has it, it connects again, and finds it alive.
lock_taken_late(_) ->
    E = erl("m"),
    {c, D, _} = A = c("a"),
    connect(A, E),
    await_cluster([A, E]),
    proc(A, p),
    Server = call(E, erlang, whereis, [global_name_server]),
    ok = call(E, sys, suspend, [Server]),
    Me = self(),
    spawn_link(fun() -> Me ! {registered, register_c(A, p, one, [])} end),
    wait_until(fun() ->
                       {message_queue_len, N} =
                           call(E, erlang, process_info,
                                [Server, message_queue_len]),
                       N > 0
               end),
    ok(D, {disconnect, name(E)}),
    wait_until(fun() -> call(E, erlang, nodes, []) =:= [] end),
    ok = call(E, sys, resume, [Server]),
    receive {registered, Answer} -> ?assertEqual(ok, Answer) end,
    connect(A, E),
    await_cluster([A, E]),
    ?assertEqual(yes, call(E, global, register_name, [two, proc(E, none)])),
    ?assertEqual([], call(E, ets, tab2list, [global_locks])).

%% ------------------------------------------------------------------- reach

%% Who cannot be found does not start.
reachable(_) ->
    Dead = integer_to_list(cnode_test:free_port()),
    ?assertNotEqual(nomatch, string:find(refused(["--epmd-port", Dead]),
                                         "EPMD")),
    ?assertNotEqual(nomatch, string:find(refused(["--no-epmd"]),
                                         "fixed port")),
    ?assertNotEqual(nomatch, string:find(refused("10.255.255.1",
                                                 ["--address", "127.0.0.1"]),
                                         "listens on 127.0.0.1 only")).

refused(Args) ->
    refused(cnode_test:host(), Args).

refused(Host, Args) ->
    Name = cnode_test:unique("a") ++ "@" ++ Host,
    Port = open_port({spawn_executable, node_driver:program()},
                     [{args, ["--full", "--name", Name | Args]}, binary,
                      {env, [{"CNODE_COOKIE", "c"}]}, exit_status,
                      stderr_to_stdout]),
    refusal(Port, <<>>).

refusal(Port, Said) ->
    receive
        {Port, {data, Bytes}} -> refusal(Port, <<Said/binary, Bytes/binary>>);
        {Port, {exit_status, Status}} -> ?assertEqual(1, Status), Said
    after ?WAIT -> ct:fail("it starts")
    end.

%% ------------------------------------------------------------------- stall

%% A loop that stood still leaves before it does anything else.
stalled(_) ->
    stands_still(fun({c, D, _}, Ms) -> ok(D, {stall, Ms}) end).

stopped(_) ->
    stands_still(fun({c, D, _}, Ms) ->
                         cnode_test:signal(D, "STOP"),
                         timer:sleep(Ms),
                         cnode_test:signal(D, "CONT")
                 end).

stands_still(Stop) ->
    [E1, E2] = Es = [erl("m"), erl("n")],
    connect(E1, E2),
    await_cluster(Es),
    {c, D, _} = A = c("a", #{args => ["--full", "--max-stall-ms", "2000"]}),
    connect(A, E1),
    await_cluster([A | Es]),
    Stop(A, 4000),
    [node_driver:await_event(D, {down, name(E)}, 1, ?WAIT) || E <- Es],
    ?assertNotEqual(nomatch, string:find(cnode_test:stderr(D),
                                         "has stood still for")),
    await_cluster(Es),
    [sync(E) || E <- Es],
    ?assertEqual([], known(A)).

%% ------------------------------------------------------------------- locks

%% A cluster of two Erlang nodes and a C node with a process.
to_lock() ->
    [E1, E2] = Es = [erl("m"), erl("n")],
    A = c("a"),
    connect(E1, E2),
    connect(A, E1),
    await_cluster([A | Es]),
    {A, E1, E2, proc(A, p)}.

lock({c, D, _}, Name, Tries) ->
    tell(D, {global_lock, p, Name, [], Tries}, 4 * ?WAIT).

unlock({c, D, _}, Name) ->
    ok(D, {global_unlock, p, Name, []}).

%% A process there that has the lock on all nodes until it is told.
holder(E, Name) ->
    Pid = call(E, ?MODULE, spawn_holder, [Name]),
    wait_until(fun() -> call(E, ?MODULE, holds, [Pid]) end),
    Pid.

spawn_holder(Name) ->
    spawn(fun() ->
                  true = global:set_lock({Name, self()}),
                  put(holds, true),
                  receive stop -> global:del_lock({Name, self()}) end
          end).

holds(Pid) ->
    {dictionary, Dict} = process_info(Pid, dictionary),
    proplists:get_value(holds, Dict, false).

%% Free for a process of that node, by Erlang's own account.
is_free(E, Name) ->
    call(E, ?MODULE, try_lock, [Name]).

try_lock(Name) ->
    Id = {Name, self()},
    Got = global:set_lock(Id, [node() | nodes()], 0),
    Got andalso global:del_lock(Id),
    Got.

%% C gets it when Erlang has given it back.
erlang_has_the_lock(_) ->
    {A, E1, E2, _} = to_lock(),
    Name = {a, [lock]},
    Pid = holder(E1, Name),
    ?assertMatch({error, 'CN_EBUSY', _}, lock(A, Name, 1)),
    ?assertEqual(ok, lock(A, other, 1)),
    Me = self(),
    spawn_link(fun() -> Me ! {got, lock(A, Name, 0)} end),
    receive {got, _} = Early -> ct:fail("~p", [Early]) after 1000 -> ok end,
    Pid ! stop,
    receive {got, ok} -> ok after ?WAIT -> ct:fail("it does not come") end,
    [?assertNot(is_free(E, Name)) || E <- [E1, E2]],
    unlock(A, Name),
    [?assert(is_free(E, Name)) || E <- [E1, E2]].

c_has_the_lock(_) ->
    {{c, D, AN} = A, E1, E2, P} = to_lock(),
    %% Twice, and given back once.
    [?assertEqual(ok, lock(A, name, 1)) || _ <- [1, 2]],
    [?assertNot(is_free(E, name)) || E <- [E1, E2]],
    %% Who gives the same requester has it too, here and there.
    ?assert(call(E1, global, set_lock, [{name, P}, [name(E2), AN], 0])),
    unlock(A, name),
    [wait_until(fun() -> is_free(E, name) end) || E <- [E1, E2]],
    %% On these only.
    ?assertEqual(ok, tell(D, {global_lock, p, name, [name(E2)], 1})),
    ?assertNot(is_free(E1, name)),
    ?assert(call(E1, global, set_lock, [{name, me}, [name(E1), AN], 0])),
    ok(D, {global_unlock, p, name, [name(E2)]}),
    wait_until(fun() -> is_free(E1, name) end).

lock_goes_with_its_holder(_) ->
    {{c, D, _} = A, E1, E2, _} = to_lock(),
    proc(A, q),
    ?assertEqual(ok, tell(D, {global_lock, q, name, [], 1})),
    ?assertNot(is_free(E1, name)),
    ok(D, {exit, q, normal}),
    wait_until(fun() -> is_free(E1, name) end),
    ?assertEqual(ok, lock(A, name, 1)),
    ?assertNot(is_free(E2, name)),
    cnode_test:kill9(D),
    await_cluster([E1, E2]),
    [wait_until(fun() -> is_free(E, name) end) || E <- [E1, E2]].

%% Both want it again and again: never both have it, and both get it.
lock_is_fought_for(_) ->
    Rounds = list_to_integer(os:getenv("GLOBAL_FIGHTS", "34")),
    ct:timetrap({seconds, 60 + 10 * Rounds}),
    {A, E1, E2, _} = to_lock(),
    Inside = counters:new(1, []),
    Me = self(),
    Fighters = [spawn_link(fun() ->
                                   fight(Lock, Unlock, Inside, Rounds),
                                   Me ! {self(), done}
                           end)
                || {Lock, Unlock} <-
                       [{fun() -> ok = lock(A, name, 0) end,
                         fun() -> unlock(A, name) end} |
                        [{fun() -> true = peer_lock(E, set_lock) end,
                          fun() -> true = peer_lock(E, del_lock) end}
                         || E <- [E1, E2]]]],
    [receive {F, done} -> ok end
     || F <- Fighters].

fight(_, _, _, 0) ->
    ok;
fight(Lock, Unlock, Inside, Left) ->
    Lock(),
    counters:add(Inside, 1, 1),
    ?assertEqual(1, counters:get(Inside, 1)),
    counters:sub(Inside, 1, 1),
    Unlock(),
    fight(Lock, Unlock, Inside, Left - 1).

%% By a server that always lives, so that the lock stays: with a requester of
%% that node.
peer_lock({erl, Peer, Node}, What) ->
    peer:call(Peer, ?MODULE, by_server, [What, {name, Node}], 4 * ?WAIT).

by_server(What, Id) ->
    case whereis(locker) of
        undefined -> register(locker, spawn(fun server/0));
        _ -> ok
    end,
    locker ! {self(), What, Id},
    receive {locker, Answer} -> Answer end.

server() ->
    receive {From, What, Id} -> From ! {locker, global:What(Id)} end,
    server().

%% ------------------------------------------------------------------ groups

%% Nodes with global_groups ask whom they have in theirs for the same list, and
%% join with nobody else.
global_groups(_) ->
    [A, B, M, N] = Own =
        lists:sort([list_to_atom(cnode_test:unique(P) ++ "@" ++
                                 cnode_test:host()) || P <- ["a", "b", "m", "n"]]),
    Args = ["-kernel", "global_groups",
            lists:flatten(io_lib:format("[{shop,normal,~w}]", [Own]))],
    {c, D, _} = C = c("a", #{node => A}),
    ok(D, {export, global_group, get_own_nodes, Own}),
    [E1, E2] = Es = [erl("e", #{node => Node, args => Args}) || Node <- [M, N]],
    connect(E1, E2),
    connect(C, E1),
    await_cluster([C | Es]),
    [wait_until(fun() -> of_group(E) =:= {Own -- [B, name(E)], []} end)
     || E <- Es],
    connect(c("b", #{node => B}), E1),
    wait_until(fun() -> of_group(E1) =:= {[A, N], [B]} end),
    ?assertEqual([A, N], known(E1)).

of_group(E) ->
    Info = call(E, global_group, info, []),
    {_, Synced} = lists:keyfind(synced_nodes, 1, Info),
    {_, Failed} = lists:keyfind(sync_error, 1, Info),
    {lists:sort(Synced), Failed}.
