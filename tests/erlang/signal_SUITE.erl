%% SPDX-License-Identifier: Apache-2.0
%%
%% Signals that few programs use, between Erlang processes and processes in C
%% (signal_driver.c): priority, aliases of monitors, exits to aliases, traces
%% through a node, group leaders, options of spawn.
-module(signal_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-define(REPLY, 1).
-define(PRIORITY, 2).
-define(EXPLICIT, 1).
-define(DEMONITOR, 2).
-define(REPLY_DEMONITOR, 3).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [{group, hidden}, {group, visible}].

groups() ->
    [{hidden, [], cases()}, {visible, [], cases()}].

cases() ->
    [aliases_of_c, aliases_of_monitors, priority_to_c, priority_from_c,
     exits_to_aliases, traces_go_through, group_leaders, spawn_options,
     spawn_options_of_c, spawns_with_alias_and_tag, mailbox_has_a_bound].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_group(Group, Config) ->
    [{kind, atom_to_list(Group)} | Config].

end_per_group(_, _) ->
    ok.

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Node = cnode_test:unique_node("sig"),
    Beside = filename:dirname(os:getenv("NODE_DRIVER")),
    Port = open_port({spawn_executable, filename:join(Beside, "signal_driver")},
                     [{args, [atom_to_list(Node), ?config(kind, Config)]},
                      {line, 100}, exit_status,
                      {env, [{"CNODE_COOKIE", cnode_test:cookie()}]}]),
    receive
        {Port, {data, {eol, "ready"}}} -> ok
    after ?WAIT -> ct:fail("not ready")
    end,
    pong = net_adm:ping(Node),
    ?assertEqual(?config(kind, Config) =:= "visible",
                 lists:member(Node, nodes(visible))),
    [{node, Node} | Config].

end_per_testcase(_, Config) ->
    ok = tell(Config, stop).

tell(Config, Command) ->
    Ref = make_ref(),
    {ctl, ?config(node, Config)} ! {self(), Ref, Command},
    receive
        {Ref, Answer} -> Answer
    after ?WAIT -> ct:fail({no_answer, Command})
    end.

box(Config) ->
    {box, ?config(node, Config)}.

%% What it got, once there are so many.
drained(Config, N) ->
    drained(Config, N, []).

drained(_, N, Got) when length(Got) >= N ->
    Got;
drained(Config, N, Got) ->
    drained(Config, N, Got ++ tell(Config, drain)).

%% Releases that know priority say so by having it.
needs_28() ->
    case list_to_integer(erlang:system_info(otp_release)) >= 28 of
        true -> ok;
        false -> throw({skip, "this release has no priority messages"})
    end.

aliases_of_c(Config) ->
    A = tell(Config, {alias, 0}),
    B = tell(Config, {alias, ?REPLY}),
    [R ! {X, n} || {R, X} <- [{A, 1}, {B, 2}, {B, 3}, {A, 4}]],
    ?assertEqual([{1, n}, {2, n}, {4, n}], drained(Config, 3)),
    ok = tell(Config, {unalias, A}),
    A ! lost,
    box(Config) ! found,
    ?assertEqual([found], drained(Config, 1)).

aliases_of_monitors(Config) ->
    P = spawn(fun Loop() -> receive stop -> ok; M -> M(), Loop() end end),
    Explicit = tell(Config, {monitor, P, ?EXPLICIT}),
    Bound = tell(Config, {monitor, P, ?DEMONITOR}),
    Once = tell(Config, {monitor, P, ?REPLY_DEMONITOR}),
    P ! fun() -> [R ! N || {R, N} <- [{Explicit, 1}, {Bound, 2}, {Once, 3},
                                      {Once, lost}]] end,
    ?assertEqual([1, 2, 3], drained(Config, 3)),
    P ! stop,
    Downs = drained(Config, 2),
    Bound ! lost,
    Explicit ! 4,
    ?assertEqual([4], drained(Config, 1)),
    ?assertEqual(lists:sort([{'DOWN', R, process, P, normal}
                             || R <- [Explicit, Bound]]),
                 lists:sort(Downs)).

priority_to_c(Config) ->
    needs_28(),
    A = tell(Config, {alias, ?PRIORITY}),
    Plain = tell(Config, {alias, 0}),
    box(Config) ! 1,
    erlang:send(A, 2, [priority]),
    erlang:send(A, 3),
    erlang:send(Plain, 4, [priority]),
    erlang:send(box(Config), 5, [priority]),
    apply(erlang, exit, [A, six, [priority]]),
    [2, {'EXIT', _, six}, 1, 3, 4, 5] = drained(Config, 6).

priority_from_c(Config) ->
    needs_28(),
    A = erlang:alias([priority]),
    Plain = erlang:alias(),
    ok = tell(Config, {send, A, 1}),
    ok = tell(Config, {priority, Plain, 2}),
    ok = tell(Config, {priority, A, 3}),
    ok = tell(Config, {exit, A, four}),
    {messages, Got} = process_info(self(), messages),
    ?assertMatch([3, {'EXIT', _, four}, 1, 2],
                 [M || M <- Got, not is_port_message(M)]),
    [receive M -> ok end || M <- Got].

is_port_message({P, _}) -> is_port(P);
is_port_message(_) -> false.

%% From OTP 28 on; older nodes cannot be told so.
exits_to_aliases(Config) ->
    A = alias([reply]),
    case list_to_integer(erlang:system_info(otp_release)) >= 28 of
        true ->
            ok = tell(Config, {exit, A, bye}),
            receive {'EXIT', _, bye} -> ok end,
            B = tell(Config, {alias, ?REPLY}),
            apply(erlang, exit, [B, one]),
            B ! two,
            B ! lost,
            [{'EXIT', _, one}, two] = drained(Config, 2);
        false ->
            'CN_ENOTSUP' = tell(Config, {exit, A, bye})
    end,
    ok = tell(Config, {send, A, still_there}),
    receive still_there -> ok end.

%% The serial that comes back is the next one, and the last is ours.
traces_go_through(Config) ->
    Me = self(),
    tell(Config, drain),
    spawn_link(fun() -> traced(Config, Me) end),
    {ok, {Label, Serial, From, Last}} =
        receive {token, T} -> T after ?WAIT -> ct:fail(no_token) end,
    ?assertEqual({my, label}, Label),
    ?assertEqual(?config(node, Config), node(From)),
    ?assertEqual(Last + 1, Serial).

traced(Config, Me) ->
    seq_trace:set_token(label, {my, label}),
    seq_trace:set_token(send, true),
    box(Config) ! hello,
    seq_trace:set_token([]),
    ok = tell(Config, {forward, self()}),
    receive {forwarded, hello} -> ok end,
    {label, Label} = seq_trace:get_token(label),
    {serial, {Last, Serial}} = seq_trace:get_token(serial),
    {_, _, Serial, From, Last} = token(),
    Me ! {token, {ok, {Label, Serial, From, Last}}}.

%% All of it, by the only function that gives it.
token() ->
    Token = seq_trace:set_token([]),
    seq_trace:set_token(Token),
    case Token of
        {F, L, S, P, C} -> {F, L, S, P, C};
        Other -> ct:fail({token, Other})
    end.

group_leaders(Config) ->
    User = tell(Config, leader),
    ?assertEqual(?config(node, Config), node(User)),
    P = spawn(fun() -> receive stop -> ok end end),
    Box = box_pid(Config),
    true = group_leader(P, Box),
    cnode_test:wait_until(fun() -> tell(Config, leader) =:= P end),
    ok = tell(Config, {lead, P}),
    cnode_test:wait_until(fun() ->
                                  {group_leader, Box} =:=
                                      process_info(P, group_leader)
                          end),
    P ! stop.

box_pid(Config) ->
    P = spawn(fun() -> receive stop -> ok end end),
    true = is_reference(tell(Config, {monitor, P, ?DEMONITOR})),
    {monitored_by, [Pid]} = process_info(P, monitored_by),
    exit(P, kill),
    [{'DOWN', _, process, P, killed}] = drained(Config, 1),
    Pid.

%% What we may ask a C node for.
spawn_options(Config) ->
    Node = ?config(node, Config),
    Good = [[], [link], [monitor], [{priority, max}], [{min_heap_size, 100}],
            [{fullsweep_after, 3}], [{message_queue_data, off_heap}],
            [{max_heap_size, #{size => 1000, kill => false}}],
            [{monitor, [{alias, reply_demonitor}, {tag, x}]}]],
    [begin
         Id = spawn_request(Node, no_such_module, f, [], Opts),
         receive {spawn_reply, Id, ok, Pid} ->
                 ?assertEqual(Node, node(Pid))
         end
     end || Opts <- Good],
    Id = spawn_request(Node, no_such_module, f, [], [{priority, highest}]),
    receive {spawn_reply, Id, error, badopt} -> ok end.

%% And a C node us: the options arrive, and a wrong one is refused.
spawn_options_of_c(Config) ->
    Args = [erlang, send, [self(), {hello, from_c}]],
    tell(Config, {spawn, node(), Args, <<"[{priority, low}]">>}),
    receive {hello, from_c} -> ok end,
    Got = drained(Config, 3), % its answer to itself may be the last
    {value, {spawned, ok, Pid}, More} = lists:keytake(spawned, 1, Got),
    ?assertEqual(node(), node(Pid)),
    ?assertMatch([{'EXIT', Pid, normal}, {'DOWN', _, process, Pid, normal}],
                 More),
    tell(Config, {spawn, node(), Args, <<"[{priority, highest}]">>}),
    ?assertEqual([{spawned, 'CN_ENOTSUP', badopt}], drained(Config, 1)).

%% What is spawned may answer by the reference that its monitor has as an alias,
%% once or as often as it likes, and its DOWN has the tag that was given.
spawns_with_alias_and_tag(Config) ->
    [begin
         tell(Config, {spawn_tagged, node(), Mode, {my, tag},
                       [?MODULE, answer_by_alias, []]}),
         [{spawned, ok, Pid}] = drained(Config, 1),
         {monitored_by, [_]} = process_info(Pid, monitored_by),
         Ref = tell(Config, spawned),
         Pid ! {answer, Ref, self()},
         receive {Pid, answered} -> ok end,
         Got = drained(Config, length(Answers)),
         ?assertEqual(Answers, Got),
         Alive = Mode =/= ?REPLY_DEMONITOR,
         ?assertEqual({Mode, Alive}, {Mode, is_watched(Config, Pid)}),
         Pid ! stop,
         Down = [{{my, tag}, Ref, process, Pid, normal} || Alive],
         ?assertEqual(Down, drained(Config, length(Down))),
         %% An alias that goes with its monitor is gone with it.
         Ref ! late,
         box(Config) ! last,
         ?assertEqual([late || Mode =:= ?EXPLICIT] ++ [last],
                      drained(Config, 1 + length([e || Mode =:= ?EXPLICIT])))
     end || {Mode, Answers} <- [{?EXPLICIT, [1, 2]}, {?DEMONITOR, [1, 2]},
                                {?REPLY_DEMONITOR, [1]}]].

is_watched(Config, Pid) ->
    true = is_list(tell(Config, drain)),
    {monitored_by, By} = process_info(Pid, monitored_by),
    By =/= [].

answer_by_alias() ->
    receive
        {answer, Ref, To} ->
            [Ref ! N || N <- [1, 2]],
            To ! {self(), answered},
            answer_by_alias();
        stop -> ok
    end.

%% Of many messages the last ten are kept, and the others are counted.
mailbox_has_a_bound(Config) ->
    To = {small, ?config(node, Config)},
    [To ! N || N <- lists:seq(1, 1000)],
    ?assertEqual({1000, 990, lists:seq(991, 1000)}, tell(Config, drain_small)),
    To ! again,
    ?assertEqual({1001, 990, [again]}, tell(Config, drain_small)).
