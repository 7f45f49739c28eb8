%% SPDX-License-Identifier: Apache-2.0
%%
%% Process groups and topics of Phoenix.PubSub shared by Erlang and C nodes
%% (pg_driver.c). After each case the scopes of the Erlang nodes must be the
%% processes that they were before: nothing that C says may end one.
-module(pg_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-define(PUBSUB, 'Elixir.Phoenix.PubSub').

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [{group, hidden}, {group, visible}].

groups() ->
    Both = [c_joins, erlang_joins, monitors, any_term, members_end, nodes_go,
            scope_goes, scope_comes_late, many, storm],
    [{hidden, [], Both ++ [two_c_nodes, nonsense, too_much, leave_unknown,
                           topics, topics_of_a_pool, killed, command_lists,
                           command_lists_of_c, command_watches, command_joins,
                           command_serves_scopes]},
     {visible, [], Both}].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_group(Group, Config) ->
    [{how, atom_to_list(Group)} | Config].

end_per_group(_, _) ->
    ok.

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Scope = list_to_atom(cnode_test:unique("scope")),
    {ok, Pid} = pg:start(Scope),
    C = start_c(?config(how, Config)),
    ok = tell(C, {start, Scope, 0, 50}),
    [{scope, Scope}, {pid, Pid}, {c, C} | Config].

end_per_testcase(_, Config) ->
    Scope = ?config(scope, Config),
    ok = tell(?config(c, Config), stop),
    %% A call: what came before has been taken.
    _ = sys:get_state(Scope),
    Same = case get(restarted) of
               undefined -> ?config(pid, Config) =:= whereis(Scope);
               _ -> true
           end,
    gen_server:stop(Scope),
    case Same of
        true -> ok;
        false -> {fail, the_scope_has_died}
    end.

start_c(How) ->
    Node = cnode_test:unique_node("pg"),
    Beside = filename:dirname(os:getenv("NODE_DRIVER")),
    Port = open_port({spawn_executable, filename:join(Beside, "pg_driver")},
                     [{args, [atom_to_list(Node), How]}, {line, 100},
                      {env, [{"CNODE_COOKIE", cnode_test:cookie()}]}]),
    receive
        {Port, {data, {eol, "ready"}}} -> Node
    after ?WAIT -> ct:fail("not ready")
    end.

tell(C, Command) ->
    Ref = make_ref(),
    {ctl, C} ! {self(), Ref, Command},
    receive
        {Ref, Answer} -> Answer
    after ?WAIT -> ct:fail({no_answer, Command})
    end.

wait(Fun) ->
    cnode_test:wait_until(Fun).

%% Both say the same of a group.
agree(Config, Group, Members) ->
    agree_on([node()], Config, Group, Members).

agree_on(Nodes, Config, Group, Members) ->
    Scope = ?config(scope, Config),
    Want = lists:sort(Members),
    wait(fun() ->
                 {All, _} = tell(?config(c, Config), {members, Scope, Group}),
                 lists:sort(All) =:= Want
         end),
    [wait(fun() ->
                  lists:sort(erpc:call(N, pg, get_members, [Scope, Group]))
                      =:= Want
          end) || N <- Nodes],
    ok.

idle() ->
    spawn_link(fun() -> receive {exit, R} -> exit(R) end end).

%% ---------------------------------------------------------------- members

c_joins(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    [P, Q] = [tell(C, spawn), tell(C, spawn)],
    ok = tell(C, {join, S, {room, 7}, [P]}),
    agree(Config, {room, 7}, [P]),
    ok = tell(C, {join, S, {room, 7}, [P, Q, P]}),
    agree(Config, {room, 7}, [P, P, P, Q]),
    ok = tell(C, {join, S, other, [Q]}),
    ok = tell(C, {leave, S, {room, 7}, [P]}),
    agree(Config, {room, 7}, [P, P, Q]),
    agree(Config, other, [Q]),
    ?assertEqual([], pg:get_local_members(S, {room, 7})),
    ok = tell(C, {leave, S, {room, 7}, [P, Q, P]}),
    agree(Config, {room, 7}, []),
    'CN_ENOENT' = tell(C, {leave, S, {room, 7}, [P]}),
    'CN_EBADARG' = tell(C, {join, S, {room, 7}, [self()]}),
    ?assertEqual([other], pg:which_groups(S)).

erlang_joins(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    [P, Q] = [idle(), idle()],
    ok = pg:join(S, x, P),
    ok = pg:join(S, x, [P, Q]),
    agree(Config, x, [P, P, Q]),
    ?assertMatch({_, []}, tell(C, {members, S, x})),
    ok = pg:leave(S, x, [P]),
    agree(Config, x, [P, Q]),
    ok = pg:join(S, y, Q),
    agree(Config, y, [Q]),
    ?assertEqual([{x, 2, 0}, {y, 1, 0}], lists:sort(tell(C, {groups, S}))),
    Q ! {exit, bye},
    agree(Config, x, [P]),
    agree(Config, y, []).

monitors(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    One = tell(C, {monitor, S, x}),
    All = tell(C, {monitor, S}),
    P = idle(),
    ok = pg:join(S, x, [P, P]),
    cnode_test:expect({pg, All, joined, x, [P, P]}),
    cnode_test:expect({pg, One, joined, x, [P, P]}),
    ok = pg:join(S, y, P),
    cnode_test:expect({pg, All, joined, y, [P]}),
    Q = tell(C, spawn),
    ok = tell(C, {join, S, y, [Q]}),
    cnode_test:expect({pg, All, joined, y, [Q]}),
    agree(Config, y, [P, Q]),
    ok = tell(C, {demonitor, S, All}),
    'CN_ENOENT' = tell(C, {demonitor, S, All}),
    {Ref, [P, P]} = monitor_group(S, x),
    ok = tell(C, {join, S, x, [Q]}),
    receive {Ref, join, x, [Q]} -> ok end,
    cnode_test:expect({pg, One, joined, x, [Q]}),
    exit(Q, bye),
    receive {Ref, leave, x, [Q]} -> ok end,
    cnode_test:expect({pg, One, left, x, [Q]}).

%% Of OTP 25.1 and later; by its name, for the sake of what checks older ones.
monitor_group(S, Group) ->
    apply(pg, monitor, [S, Group]).

any_term(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    P = tell(C, spawn),
    Big = maps:from_list([{I, {I}} || I <- lists:seq(1, 100)]),
    Terms = [1, 1.0, <<"a">>, "a", [], {}, #{}, #{a => 1, b => 2.0}, Big,
             [a | b], <<1:3>>, self(), make_ref(), 1 bsl 100, -1,
             fun lists:map/2, 'Ünï', {a, [{b, "c"}]}, 1 bsl 63,
             lists:seq(1, 300), [256], hd(erlang:ports())],
    [ok = tell(C, {join, S, T, [P]}) || T <- Terms],
    wait(fun() -> length(pg:which_groups(S)) =:= length(Terms) end),
    %% Sorted they would be no set: 1 and 1.0 are in no order.
    Set = fun(L) -> maps:from_list([{T, ok} || T <- L]) end,
    ?assertEqual(Set(Terms), Set(pg:which_groups(S))),
    [?assertEqual([P], pg:get_members(S, T)) || T <- Terms],
    Q = idle(),
    [ok = pg:join(S, T, Q) || T <- Terms],
    [agree(Config, T, [P, Q]) || T <- Terms],
    [ok = pg:leave(S, T, Q) || T <- Terms],
    [ok = tell(C, {leave, S, T, [P]}) || T <- Terms],
    wait(fun() -> pg:which_groups(S) =:= [] end),
    wait(fun() -> tell(C, {groups, S}) =:= [] end).

members_end(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    [P, Q] = [tell(C, spawn), tell(C, spawn)],
    [ok = tell(C, {join, S, G, Pids})
     || {G, Pids} <- [{x, [P, P, Q]}, {y, [P]}, {x, [P]}]],
    agree(Config, x, [P, P, P, Q]),
    exit(P, bye),
    agree(Config, x, [Q]),
    agree(Config, y, []),
    'CN_ENOPROC' = tell(C, {join, S, x, [P]}),
    exit(Q, kill),
    agree(Config, x, []),
    ?assertEqual([], tell(C, {groups, S})).

nodes_go(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    {Peer, Node} = cnode_test:start_peer(#{}),
    {ok, _} = erpc:call(Node, pg, start, [S]),
    ok = tell(C, {connect, Node}),
    P = tell(C, spawn),
    ok = tell(C, {join, S, x, [P]}),
    Q = erpc:call(Node, fun() -> spawn(fun() -> receive _ -> ok end end) end),
    ok = erpc:call(Node, pg, join, [S, x, Q]),
    agree_on([node(), Node], Config, x, [P, Q]),
    ok = tell(C, {disconnect, Node}),
    wait(fun() -> erpc:call(Node, pg, get_members, [S, x]) =:= [Q] end),
    wait(fun() -> {All, _} = tell(C, {members, S, x}), All =:= [P] end),
    ok = tell(C, {connect, Node}),
    agree_on([node(), Node], Config, x, [P, Q]),
    cnode_test:stop_peer(Peer),
    agree(Config, x, [P]),
    Other = start_c("hidden"),
    ok = tell(Other, {start, S, 0, 50}),
    R = tell(Other, spawn),
    ok = tell(Other, {join, S, x, [R]}),
    wait(fun() -> lists:sort(pg:get_members(S, x)) =:= lists:sort([P, R]) end),
    ok = tell(Other, stop),
    wait(fun() -> pg:get_members(S, x) =:= [P] end).

scope_goes(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    [P, Q] = [tell(C, spawn), idle()],
    ok = tell(C, {join, S, x, [P]}),
    ok = pg:join(S, x, Q),
    agree(Config, x, [P, Q]),
    %% Erlang's ends and begins anew.
    put(restarted, true),
    gen_server:stop(S),
    wait(fun() -> {All, _} = tell(C, {members, S, x}), All =:= [P] end),
    {ok, _} = pg:start(S),
    ok = pg:join(S, x, Q),
    agree(Config, x, [P, Q]),
    %% And that of C.
    ok = tell(C, {stop, S}),
    wait(fun() -> pg:get_members(S, x) =:= [Q] end),
    ok = tell(C, {start, S, 0, 50}),
    ok = tell(C, {join, S, x, [P]}),
    agree(Config, x, [P, Q]).

scope_comes_late(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    Late = list_to_atom(atom_to_list(S) ++ "_late"),
    pong = net_adm:ping(C),
    ok = tell(C, {start, Late, 0, 50}),
    P = tell(C, spawn),
    ok = tell(C, {join, Late, x, [P]}),
    {ok, _} = pg:start(Late),
    wait(fun() -> pg:get_members(Late, x) =:= [P] end),
    gen_server:stop(Late).

many(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    N = 2000,
    P = tell(C, spawn),
    ok = tell(C, {join, S, x, lists:duplicate(N, P)}),
    agree(Config, x, lists:duplicate(N, P)),
    Qs = [spawn(fun() -> receive _ -> ok end end) || _ <- lists:seq(1, N)],
    ok = pg:join(S, x, Qs),
    [ok = pg:join(S, {g, I}, Q) || {I, Q} <- lists:enumerate(Qs)],
    agree(Config, {g, N}, [lists:last(Qs)]),
    agree(Config, x, lists:duplicate(N, P) ++ Qs),
    ?assertEqual(N + 1, length(tell(C, {groups, S}))),
    exit(P, bye),
    [Q ! stop || Q <- Qs],
    agree(Config, x, []),
    wait(fun() -> tell(C, {groups, S}) =:= [] end).

%% Both sides change at random, and the connection breaks; in the end they
%% agree, and nobody has died.
storm(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    Cs = [tell(C, spawn) || _ <- lists:seq(1, 5)],
    Es = [idle() || _ <- lists:seq(1, 5)],
    Groups = [a, b, {c, 1}],
    Any = fun(L) -> lists:nth(rand:uniform(length(L)), L) end,
    Some = fun(L) -> [Any(L) || _ <- lists:seq(1, rand:uniform(3))] end,
    Step = fun(I) when I rem 50 =:= 0 ->
                   erlang:disconnect_node(C);
              (_) ->
                   case rand:uniform(4) of
                       1 -> ok = tell(C, {join, S, Any(Groups), Some(Cs)});
                       2 -> tell(C, {leave, S, Any(Groups), Some(Cs)});
                       3 -> ok = pg:join(S, Any(Groups), Some(Es));
                       4 -> pg:leave(S, Any(Groups), Some(Es))
                   end
           end,
    lists:foreach(Step, lists:seq(1, 400)),
    pong = net_adm:ping(C),
    [begin
         {_, Local} = tell(C, {members, S, G}),
         agree(Config, G, Local ++ pg:get_local_members(S, G))
     end || G <- Groups].

two_c_nodes(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    [D, V] = [start_c("hidden"), start_c("visible")],
    [ok = tell(X, {start, S, 0, 50}) || X <- [D, V]],
    [ok = tell(X, {connect, Y}) || {X, Y} <- [{C, D}, {D, V}, {V, C}]],
    Ps = [tell(X, spawn) || X <- [C, D, V]],
    [ok = tell(X, {join, S, x, [P]}) || {X, P} <- lists:zip([C, D, V], Ps)],
    [wait(fun() ->
                  {All, [_]} = tell(X, {members, S, x}),
                  lists:sort(All) =:= lists:sort(Ps)
          end) || X <- [C, D, V]],
    agree(Config, x, Ps),
    [ok = tell(X, stop) || X <- [D, V]],
    agree(Config, x, [hd(Ps)]).

%% ---------------------------------------------------------------- hostile

nonsense(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    P = tell(C, spawn),
    ok = tell(C, {join, S, x, [P]}),
    agree(Config, x, [P]),
    Me = whereis(S),
    [{S, C} ! M || M <- [foo, {}, [], {discover}, {discover, foo},
                         {discover, P}, {discover, self(), 1, 2},
                         {join, Me, x, P}, {join, Me, x, foo},
                         {join, Me, x, [Me | foo]}, {join, self(), x, self()},
                         {leave, Me, P, [x]}, {leave, Me, [P], x},
                         {leave, Me, foo, [x]}, {update, Me, []},
                         {'$gen_cast', {sync, Me, foo}},
                         {'$gen_cast', {sync, Me, [{x, [P]}]}},
                         {'$gen_cast', {sync, P, []}},
                         {'$gen_cast', {local_data, Me, 1, #{}}},
                         {leave, Me, lists:duplicate(3000, Me),
                          lists:seq(1, 3000)}]],
    ?assertEqual({error, badarg}, gen_server:call({S, C}, monitor, ?WAIT)),
    agree(Config, x, [P]),
    1 = tell(C, {peers, S}).

too_much(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    ok = tell(C, {stop, S}),
    ok = tell(C, {start, S, 100000, 50}),
    P = tell(C, spawn),
    ok = tell(C, {join, S, x, [P]}),
    Q = idle(),
    [ok = pg:join(S, I, Q) || I <- lists:seq(1, 100)],
    agree(Config, 100, [Q]),
    [ok = pg:join(S, I, Q) || I <- lists:seq(101, 1000)],
    wait(fun() -> tell(C, {groups, S}) =:= [{x, 1, 1}] end),
    [ok = pg:leave(S, I, Q) || I <- lists:seq(101, 1000)],
    %% The other side loses nothing by it, and it is made good again.
    ?assertEqual([P], pg:get_members(S, x)),
    erlang:disconnect_node(C),
    pong = net_adm:ping(C),
    agree(Config, 100, [Q]),
    agree(Config, x, [P]).

%% pg of OTP 25 ends when something leaves a group that it does not know.
leave_unknown(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    P = tell(C, spawn),
    [begin
         ok = tell(C, {join, S, x, [P]}),
         erlang:disconnect_node(C),
         ok = tell(C, {leave, S, x, [P]})
     end || _ <- lists:seq(1, 20)],
    agree(Config, x, []).

killed(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    P = tell(C, spawn),
    ok = tell(C, {join, S, x, [P]}),
    agree(Config, x, [P]),
    Scope = rpc:call(C, erlang, whereis, [S]),
    exit(Scope, shutdown),
    agree(Config, x, [P]),
    exit(Scope, kill),
    agree(Config, x, [P]),
    ok = tell(C, {join, S, x, [P]}),
    agree(Config, x, [P, P]),
    ?assertEqual(Scope, rpc:call(C, erlang, whereis, [S])).

%% ---------------------------------------------------------------- topics

%% A worker of Phoenix.PubSub's adapter, as it is seen from outside.
adapter(Name, Number) ->
    list_to_atom("Elixir." ++ Name ++ ".Adapter" ++
                     case Number of
                         1 -> "";
                         _ -> "_" ++ integer_to_list(Number)
                     end).

start_workers(Name, Pool) ->
    Me = self(),
    case pg:start(?PUBSUB) of
        {ok, _} -> ok;
        {error, {already_started, _}} -> ok
    end,
    [begin
         Group = adapter(Name, I),
         Pid = spawn_link(fun() -> work(Me, I) end),
         register(Group, Pid),
         ok = pg:join(?PUBSUB, Group, Pid),
         Pid
     end || I <- lists:seq(1, Pool)].

work(To, I) ->
    receive
        {forward_to_local, Topic, Message, Dispatcher} ->
            To ! {local, I, Topic, Message, Dispatcher};
        Other ->
            To ! {strange, Other}
    end,
    work(To, I).

broadcast(Name, I, Topic, Message) ->
    [P ! {forward_to_local, Topic, Message, ?PUBSUB}
     || P <- pg:get_members(?PUBSUB, adapter(Name, I)), node(P) =/= node()].

stop_workers(Workers) ->
    [begin unlink(P), exit(P, kill) end || P <- Workers],
    gen_server:stop(?PUBSUB).

topics(Config) ->
    C = ?config(c, Config),
    Workers = start_workers("My.PubSub", 1),
    Group = adapter("My.PubSub", 1),
    pong = net_adm:ping(C),
    ok = tell(C, {pubsub, <<"My.PubSub">>, 1}),
    'CN_EEXIST' = tell(C, {pubsub, <<"My.PubSub">>, 1}),
    wait(fun() -> length(pg:get_members(?PUBSUB, Group)) =:= 2 end),
    wait(fun() -> tell(C, {peers, ?PUBSUB}) =:= 1 end),
    One = tell(C, {subscribe, <<"My.PubSub">>, <<"room:7">>}),
    Any = tell(C, {subscribe, <<"My.PubSub">>, <<>>}),
    broadcast("My.PubSub", 1, <<"room:7">>, {hello, 1}),
    cnode_test:expect({pubsub, One, <<"room:7">>, {hello, 1}, node()}),
    cnode_test:expect({pubsub, Any, <<"room:7">>, {hello, 1}, node()}),
    broadcast("My.PubSub", 1, <<"other">>, two),
    cnode_test:expect({pubsub, Any, <<"other">>, two, node()}),
    {Group, C} ! {forward_to_local, <<"room:7">>, direct, ?PUBSUB},
    cnode_test:expect({pubsub, One, <<"room:7">>, direct, node()}),
    cnode_test:expect({pubsub, Any, <<"room:7">>, direct, node()}),
    {Group, C} ! nonsense,
    ok = tell(C, {unsubscribe, <<"My.PubSub">>, Any}),
    'CN_ENOENT' = tell(C, {unsubscribe, <<"My.PubSub">>, Any}),
    ok = tell(C, {broadcast, <<"My.PubSub">>, <<"room:7">>, #{from => c}}),
    Got = [receive M -> M after ?WAIT -> ct:fail(nothing) end || _ <- [1, 2]],
    ?assertEqual(lists:sort([{local, 1, <<"room:7">>, #{from => c}, ?PUBSUB},
                             {pubsub, One, <<"room:7">>, #{from => c}, C}]),
                 lists:sort(Got)),
    ok = tell(C, {broadcast, <<"My.PubSub">>, node(), <<"t">>, here}),
    cnode_test:expect({local, 1, <<"t">>, here, ?PUBSUB}),
    ok = tell(C, {unpubsub, <<"My.PubSub">>}),
    wait(fun() -> pg:get_members(?PUBSUB, Group) =:= Workers end),
    stop_workers(Workers).

%% Each topic goes through one of the pool, and what comes to any of them is
%% got once.
topics_of_a_pool(Config) ->
    C = ?config(c, Config),
    Workers = start_workers("chat", 4),
    ok = tell(C, {pubsub, <<"chat">>, 4}),
    wait(fun() ->
                 lists:all(fun(I) ->
                                   Group = adapter("chat", I),
                                   length(pg:get_members(?PUBSUB, Group)) =:= 2
                           end, [1, 2, 3, 4])
         end),
    wait(fun() -> tell(C, {peers, ?PUBSUB}) =:= 1 end),
    One = tell(C, {subscribe, <<"chat">>, <<"t">>}),
    [begin
         broadcast("chat", I, <<"t">>, I),
         cnode_test:expect({pubsub, One, <<"t">>, I, node()})
     end || I <- [1, 2, 3, 4]],
    Topics = [integer_to_binary(I) || I <- lists:seq(1, 40)],
    [ok = tell(C, {broadcast, <<"chat">>, T, N}) || N <- [1, 2], T <- Topics],
    Got = [receive {local, I, T, N, ?PUBSUB} -> {T, N, I} end
           || T <- Topics, N <- [1, 2]],
    ?assertEqual([], cnode_test:flush()),
    ?assertEqual([1, 2, 3, 4], lists:usort([I || {_, _, I} <- Got])),
    [?assertEqual(1, length(lists:usort([I || {T1, _, I} <- Got, T1 =:= T])))
     || T <- Topics],
    ok = tell(C, {unpubsub, <<"chat">>}),
    stop_workers(Workers).

%% ---------------------------------------------------------------- cnode pg

pg_args(Config, Args) ->
    ["pg", "--scope", atom_to_list(?config(scope, Config)),
     atom_to_list(node()) | Args].

lines(Bytes) ->
    [L || L <- string:split(unicode:characters_to_list(Bytes), "\n", all),
          L =/= ""].

command_lists(Config) ->
    S = ?config(scope, Config),
    {0, <<>>, <<>>} = cnode_test:run(pg_args(Config, [])),
    [P, Q] = [idle(), idle()],
    ok = pg:join(S, {room, 7}, [P, P, Q]),
    ok = pg:join(S, "it is", Q),
    {0, Text, <<>>} = cnode_test:run(pg_args(Config, [])),
    Heads = [hd(string:split(L, "\t")) || L <- lines(Text)],
    ?assertEqual(["\"it is\"", "{room,7}", "{room,7}", "{room,7}"],
                 lists:sort(Heads)),
    {0, Json, <<>>} = cnode_test:run(pg_args(Config, ["--json"])),
    ?assertEqual(4, length([L || "{\"group\":" ++ L <- lines(Json)])),
    {1, <<>>, Why} = cnode_test:run(["pg", "--scope", "no_such_scope",
                                     atom_to_list(node())]),
    {match, _} = re:run(Why, "no_such_scope"),
    {2, <<>>, _} = cnode_test:run(pg_args(Config, ["--join", "{a"])).

%% A C node has no lists:zipwith/3.
command_lists_of_c(Config) ->
    {S, C} = {?config(scope, Config), ?config(c, Config)},
    List = fun(Scope) ->
                   cnode_test:run(["pg", "--scope", atom_to_list(Scope),
                                   atom_to_list(C)])
           end,
    {0, <<>>, <<>>} = List(S),
    [P, Q] = [tell(C, spawn), idle()],
    ok = tell(C, {join, S, {room, 7}, [P, P]}),
    ok = pg:join(S, "it is", Q),
    agree(Config, "it is", [Q]),
    {0, Text, <<>>} = List(S),
    Heads = [hd(string:split(L, "\t")) || L <- lines(Text)],
    ?assertEqual(["\"it is\"", "{room,7}", "{room,7}"], lists:sort(Heads)),
    {1, <<>>, Why} = List(no_such_scope),
    {match, _} = re:run(Why, "no_such_scope"),
    %% And as Erlang asks it.
    ?assertEqual(lists:sort(pg:which_groups(S)),
                 lists:sort(erpc:call(C, pg, which_groups, [S]))),
    ?assertEqual([P, P], erpc:call(C, pg, get_members, [S, {room, 7}])),
    ?assertEqual([], erpc:call(C, pg, get_local_members, [S, "it is"])),
    ?assertEqual([{room, 7}], rpc:call(C, pg, which_local_groups, [S])),
    ?assertError({exception, badarg, _}, erpc:call(C, pg, which_groups, [])).

%% A scope is there when somebody has started it; the text says how.
command_serves_scopes(_) ->
    List = fun(#{node := N}, More) ->
                   cnode_test:run(["pg", atom_to_list(N) | More])
           end,
    None = cnode_test:serve(#{}),
    {1, <<>>, Why} = List(None, []),
    ?assertMatch({match, _},
                 re:run(Why, "has no scope pg\nhint: start it there: "
                        "pg:start\\(pg\\), or erl -kernel start_pg true; .*"
                        "--pg-scope pg\n$")),
    cnode_test:stop(None),
    Some = #{node := Node} =
        cnode_test:serve(#{args => ["--pg-scope", "pg", "--pg-scope=x y"]}),
    {0, <<>>, <<>>} = List(Some, ["--scope", "x y"]),
    {0, <<>>, <<>>} = List(Some, []),
    Run = cnode_test:start(["pg", atom_to_list(Node), "--join", "carts"], #{}),
    has_line(Run, "joined\tcarts\t"),
    wait(fun() ->
                 {0, Out, <<>>} = List(Some, []),
                 string:prefix(Out, "carts\t") =/= nomatch
         end),
    cnode_test:signal(Run, "TERM"),
    0 = cnode_test:status(Run),
    wait(fun() -> {0, <<>>, <<>>} =:= List(Some, []) end),
    cnode_test:stop(Some),
    {2, <<>>, Taken} = cnode_test:run(["serve", "-n", "x@127.0.0.1",
                                       "--no-epmd", "--pg-scope", "echo"]),
    {match, _} = re:run(Taken, "--pg-scope echo: 'echo' is registered").

has_line(Run, Want) ->
    wait(fun() -> lists:any(fun(L) -> lists:prefix(Want, L) end,
                            lines(cnode_test:stdout(Run)))
         end).

%% Also what other nodes of the cluster join.
command_watches(Config) ->
    S = ?config(scope, Config),
    {Peer, Node} = cnode_test:start_peer(#{}),
    {ok, _} = erpc:call(Node, pg, start, [S]),
    ok = erpc:call(Node, pg, join, [S, there, whereis_init(Node)]),
    P = idle(),
    ok = pg:join(S, here, P),
    Run = cnode_test:start(pg_args(Config, ["--watch"]), #{}),
    has_line(Run, "joined\there\t"),
    has_line(Run, "joined\tthere\t"),
    ok = pg:join(S, {new, 1}, P),
    has_line(Run, "joined\t{new,1}\t"),
    ok = pg:leave(S, here, P),
    has_line(Run, "left\there\t"),
    cnode_test:stop_peer(Peer),
    has_line(Run, "left\tthere\t"),
    cnode_test:signal(Run, "INT"),
    0 = cnode_test:status(Run).

whereis_init(Node) ->
    erpc:call(Node, erlang, whereis, [init]).

command_joins(Config) ->
    S = ?config(scope, Config),
    Run = cnode_test:start(pg_args(Config, ["--json", "--join", "{room,7}"]),
                           #{}),
    has_line(Run, "{\"event\":\"joined\",\"group\":{\"t\":["),
    [P] = wait(fun() ->
                       case pg:get_members(S, {room, 7}) of
                           [] -> false;
                           Some -> Some
                       end
               end),
    P ! 42,
    has_line(Run, "{\"event\":\"message\",\"term\":42}"),
    cnode_test:signal(Run, "TERM"),
    0 = cnode_test:status(Run),
    wait(fun() -> pg:get_members(S, {room, 7}) =:= [] end).
