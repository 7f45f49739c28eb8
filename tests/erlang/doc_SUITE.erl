%% SPDX-License-Identifier: Apache-2.0
%%
%% The programs in doc/node.md do what the page says, with this node of Erlang
%% as the other side. They are in the folder $DOC_PROGRAMS.
-module(doc_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [echo, counter, primes, client, guard, stay, join, workers, clock, pump,
     doctor, leader, turn, terminal, room, fail].

init_per_suite(Config) ->
    cnode_test:init_suite(Config),
    os:getenv("DOC_PROGRAMS") =/= false orelse
        ct:fail("DOC_PROGRAMS is not set"),
    Config.

end_per_suite(_) ->
    cnode_test:stop_all().

end_per_testcase(_, _) ->
    [catch exit(P, kill) || Name <- [stock, boss, sums, alarm, sink],
                            P <- [whereis(Name)], P =/= undefined],
    cnode_test:flush().

%% --------------------------------------------------------------- programs

start(Name) ->
    start(Name, [atom_to_list(node())]).

start(Name, Args) ->
    open_port({spawn_executable,
               filename:join(os:getenv("DOC_PROGRAMS"), Name)},
              [{args, Args}, {env, [{"CNODE_COOKIE", cnode_test:cookie()}]},
               {cd, filename:dirname(cnode_test:file("x"))},
               {line, 2000}, exit_status]).

line(Port) ->
    receive {Port, {data, {eol, Line}}} -> Line after ?WAIT -> timeout end.

ended(Port) ->
    receive {Port, {exit_status, Status}} -> Status after ?WAIT -> timeout end.

%% A program without an end of its own.
terminate(Port) ->
    {os_pid, Os} = erlang:port_info(Port, os_pid),
    os:cmd("kill " ++ integer_to_list(Os)),
    ended(Port).

up(Node) ->
    cnode_test:wait_until(fun() -> net_kernel:connect_node(Node) end).

got(Pattern) ->
    receive Pattern -> Pattern after ?WAIT -> error({missing, Pattern}) end.

%% ------------------------------------------------------------------ cases

echo(_) ->
    Port = start("echo", []),
    up('echo@127.0.0.1'),
    {echo, 'echo@127.0.0.1'} ! {self(), hello},
    receive {From, hello} -> ?assertEqual('echo@127.0.0.1', node(From)) end,
    ?assertNot(lists:member('echo@127.0.0.1', nodes())),
    terminate(Port).

counter(_) ->
    Node = 'counter@127.0.0.1',
    Port = start("counter", []),
    up(Node),
    ?assertEqual({ok, 2}, gen_server:call({counter, Node}, {add, 2}, ?WAIT)),
    ?assertEqual({ok, 5}, gen_server:call({counter, Node}, {add, 3}, ?WAIT)),
    gen_server:cast({counter, Node}, reset),
    ?assertEqual({ok, 1}, gen_server:call({counter, Node}, {add, 1}, ?WAIT)),
    ?assertEqual({error, unknown}, gen_server:call({counter, Node}, what,
                                                   ?WAIT)),
    ?assertEqual(6.0, erpc:call(Node, shape, area, [2.0, 3.0])),
    ?assertError({exception, badarg, _}, erpc:call(Node, shape, area, [a, b])),
    ?assertEqual(stopping, gen_server:call({counter, Node}, stop, ?WAIT)),
    ?assertEqual(0, ended(Port)).

primes(_) ->
    Node = 'primes@127.0.0.1',
    Port = start("primes", []),
    up(Node),
    ?assertEqual({primes, 25}, erpc:call(Node, primes, upto, [100])),
    ?assertEqual({primes, 78498}, erpc:call(Node, primes, upto, [1000000])),
    ?assertError({erpc, timeout},
                 erpc:call(Node, primes, upto, [1000000000], 10)),
    ?assertError({exception, badarg, _}, erpc:call(Node, primes, upto, [x])),
    terminate(Port).

client(_) ->
    register(stock, spawn(fun() ->
        receive
            {'$gen_call', From, {left, <<"tea">>}} ->
                gen_server:reply(From, {ok, 7})
        end
    end)),
    Port = start("client"),
    ?assertEqual("left: 7", line(Port)),
    ?assertEqual("sum: 6", line(Port)),
    ?assertEqual(0, ended(Port)),
    cnode_test:wait_until(fun() -> whereis(stock) =:= undefined end),
    Alone = start("client"),
    ?assertMatch("stock: " ++ _, line(Alone)),
    ?assertEqual("sum: 6", line(Alone)),
    ?assertEqual(0, ended(Alone)).

guard(_) ->
    Boss = cnode_test:alive_process([]),
    register(boss, Boss),
    Port = start("guard"),
    up('guard@127.0.0.1'),
    Worker = {worker, 'guard@127.0.0.1'},
    [begin
         Ref = monitor(process, Worker),
         Worker ! crash,
         receive {'DOWN', Ref, process, Worker, Why} ->
                 ?assertEqual({oops, worker}, Why) end,
         ?assertEqual("worker ended: {oops,worker}", line(Port))
     end || _ <- [1, 2, 3]],
    Boss ! {exit, tired},
    ?assertEqual("boss is gone: tired", line(Port)),
    ?assertEqual(0, ended(Port)).

stay(_) ->
    Node = 'stay@127.0.0.1',
    register(log, self()),
    Port = start("stay"),
    ?assertEqual("up", line(Port)),
    true = erlang:disconnect_node(Node),
    ?assertEqual("down: the peer closed the connection", line(Port)),
    ?assertEqual("up", line(Port)),
    {stay, Node} ! go,
    ?assertEqual({last, words}, got({last, words})),
    ?assertEqual("down: this node leaves", line(Port)),
    ?assertEqual(0, ended(Port)),
    unregister(log).

join(_) ->
    File = cnode_test:file("nodes"),
    ok = file:write_file(File, [atom_to_list(node()), "\nnohost\n"]),
    Port = start("join", [File]),
    Us = atom_to_list(node()),
    ?assertEqual("found " ++ Us, line(Port)),
    ?assertEqual("up " ++ Us, line(Port)),
    %% Who dials knows it first.
    cnode_test:wait_until(fun() ->
        lists:member('join@127.0.0.1', nodes(hidden))
    end),
    ok = file:write_file(File, "\n"),
    ?assertEqual("gone " ++ Us, line(Port)),
    cnode_test:wait_until(fun() ->
        not lists:member('join@127.0.0.1', nodes(hidden))
    end),
    ok = file:delete(File),
    ?assertEqual("error file: the file cannot be read", line(Port)),
    terminate(Port).

workers(_) ->
    register(sums, self()),
    Port = start("workers"),
    [got({from_thread, N}) || N <- [1, 2, 3, 4]],
    ?assertEqual(0, ended(Port)),
    unregister(sums).

clock(_) ->
    register(alarm, self()),
    Port = start("clock"),
    [got({tick, N}) || N <- [1, 2, 3]],
    {bell, 'clock@127.0.0.1'} ! enough,
    ?assertEqual(0, ended(Port)),
    unregister(alarm).

%% It sends more than its queue takes, and nothing is lost or out of order.
pump(_) ->
    register(sink, self()),
    Port = start("pump"),
    [receive {N, <<_:10000/binary>>} -> ok
     after ?WAIT -> error({missing, N})
     end || N <- lists:seq(0, 1999)],
    receive {done, Busy} -> ?assert(Busy > 0) after ?WAIT -> error(missing) end,
    {pump, 'pump@127.0.0.1'} ! stop,
    ?assertEqual(0, ended(Port)),
    unregister(sink).

doctor(_) ->
    Port = start("doctor"),
    ?assertEqual("pong: in time", line(Port)),
    ?assertEqual("signals: 1 out, 1 in", line(Port)),
    ?assertEqual(0, ended(Port)),
    File = filename:join(filename:dirname(cnode_test:file("x")),
                         "doctor.capture"),
    {0, Text, <<>>} = cnode_test:run(["dump", File]),
    ?assertMatch({match, _}, re:run(Text, "MONITOR_P <.*> undefined #Ref<")),
    ?assertMatch({match, _}, re:run(Text, "PAYLOAD_MONITOR_P_EXIT undefined .*"
                                    "noproc\n")).

leader(_) ->
    Port = start("leader"),
    ?assertEqual("leads", line(Port)),
    cnode_test:wait_until(fun() ->
                                  is_pid(global:whereis_name(leader))
                          end),
    ?assertEqual('leader@127.0.0.1', node(global:whereis_name(leader))),
    ?assertEqual(no, global:register_name(leader, self())),
    global:send(leader, stop),
    ?assertEqual(0, ended(Port)),
    cnode_test:wait_until(fun() ->
                                  global:register_name(leader, self()) =:= yes
                          end),
    Late = start("leader"),
    ?assertEqual("follows " ++ atom_to_list(node()), line(Late)),
    terminate(Late),
    global:unregister_name(leader).

turn(_) ->
    Id = {report, self()},
    true = global:set_lock(Id),
    Port = start("turn"),
    cnode_test:wait_until(fun() -> lists:member('turn@127.0.0.1', nodes()) end),
    receive {Port, Early} -> ct:fail(Early) after 500 -> ok end,
    true = global:del_lock(Id, [node()]),
    ?assertEqual("nobody else reports now", line(Port)),
    ?assertEqual(0, ended(Port)),
    cnode_test:wait_until(fun() -> global:set_lock(Id, [node()], 0) end),
    global:del_lock(Id, [node()]).

terminal(_) ->
    P = start(terminal),
    true = port_command(P, "{answer,\n42}.\n"),
    "term> CN_OK {ok,{answer,42}}" = line(P),
    0 = ended(P).

room(_) ->
    PubSub = 'Elixir.Phoenix.PubSub',
    Adapter = 'Elixir.MyApp.PubSub.Adapter',
    {ok, Pg} = pg:start(pg),
    {ok, Scope} = pg:start(PubSub),
    ok = pg:join(PubSub, Adapter, self()),
    Port = start("room"),
    [P] = cnode_test:wait_until(fun() ->
                                        case pg:get_members({room, 7}) of
                                            [] -> false;
                                            Some -> Some
                                        end
                                end),
    [Theirs] = cnode_test:wait_until(fun() ->
        case pg:get_members(PubSub, Adapter) -- [self()] of
            [] -> false;
            Some -> Some
        end
    end),
    Theirs ! {forward_to_local, <<"news">>, {hello, 1}, PubSub},
    ?assertEqual("news: {hello,1}", line(Port)),
    ok = pg:join({room, 7}, self()),
    got({forward_to_local, <<"room:7">>, {joined, 2}, PubSub}),
    P ! stop,
    ?assertEqual(0, ended(Port)),
    cnode_test:wait_until(fun() -> pg:get_members({room, 7}) =:= [self()] end),
    [gen_server:stop(S) || S <- [Pg, Scope]].

%% What cannot be done is not silent, nor a success.
fail(_) ->
    Nobody = ["nobody@127.0.0.1"],
    Ports = [start(Name, Nobody) || Name <- ["client", "workers", "pump",
                                             "doctor", "leader", "turn",
                                             "terminal"]],
    [?assertEqual(1, ended(P)) || P <- Ports],
    Port = start("counter", []),
    up('counter@127.0.0.1'),
    ?assertEqual(1, ended(start("counter", []))),
    terminate(Port).
