%% SPDX-License-Identifier: Apache-2.0
%%
%% A node under load and through changes, from both sides: the C side is
%% node_driver.c, which does what it is told. What takes long is not done with a
%% hidden and a visible node both, but with one of them.
-module(node_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1, wait_until/2, flush/0]).

-define(BIG, (64 bsl 20)).
-define(MANY, 100000).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [{group, hidden}, {group, visible}, {group, own}].

groups() ->
    [{hidden, [], common()},
     {visible, [], common()},
     {own, [], [million_in_order, flood_delays_nobody,
                stopped_erlang_delays_nobody, killed_while_sending,
                c_killed_while_sending, c_killed, erlang_killed, c_kills_c,
                c_processes_end, erlang_processes_end, simultaneous_connects,
                epmd_restarts, c_restarts, erlang_restarts, ticks]}].

common() ->
    [driver_obeys, calls_from_c, links_from_c, crossing_unlinks,
     monitors_from_c, spawns_from_c, ping_measures,
     aliases, signals_in_order, large_reasons, large_calls, big_to_c, big_from_c, big_both_ways, small_between_big,
     atoms_to_c, atoms_from_c, atoms_in_one_message].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_group(own, Config) ->
    Config;
init_per_group(Group, Config) ->
    D = node_driver:start(#{visible => Group =:= visible}),
    [{driver, D}, {visible, Group =:= visible} | Config].

end_per_group(own, _) ->
    ok;
end_per_group(_, Config) ->
    node_driver:stop(?config(driver, Config)).

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

%% What the driver was told of is what there was, and its node is there.
end_per_testcase(_, Config) ->
    case ?config(driver, Config) of
        undefined -> ok;
        D -> ?assertMatch(#{}, node_driver:command(D, stats))
    end.

%% Groups of the driver, one for each use.
group() ->
    list_to_atom(cnode_test:unique("group")).

spawned(D, N, Mode) ->
    Group = group(),
    Pids = node_driver:tell(D, {spawn, Group, N, Mode}),
    ?assertEqual(N, length(Pids)),
    {Group, Pids}.

%% Waits until the report of the group has these entries.
await_report(D, Group, Wanted) ->
    await_report(D, Group, Wanted, ?WAIT).

await_report(D, Group, Wanted, Ms) ->
    try wait_until(fun() ->
                           Wanted =:= maps:with(maps:keys(Wanted),
                                                node_driver:report(D, Group))
                   end, Ms)
    catch error:{timeout, _} ->
            Report = node_driver:report(D, Group),
            ct:log("~p", [Report]),
            ?assertEqual(Wanted, maps:with(maps:keys(Wanted), Report))
    end.

%% All that was said on the connection so far has arrived there.
barrier(D) ->
    ?assertMatch(#{}, node_driver:command(D, stats)).

in_parallel(Count, Fun) ->
    All = [spawn_monitor(fun() -> Fun(I) end) || I <- lists:seq(1, Count)],
    [receive {'DOWN', Ref, process, Pid, Reason} ->
             ?assertEqual(normal, Reason) end || {Pid, Ref} <- All],
    ok.

%% ------------------------------------------------------- driven from the C side

%% The driver itself, on both ways.
driver_obeys(Config) ->
    D = ?config(driver, Config),
    Here = node(),
    {Group, [A, B]} = spawned(D, 2, trap),
    node_driver:ok(D, {link, Group, [self()]}),
    {sent, Senders, 0} =
        node_driver:command(D, {send, A, #{messages => 10, senders => 3}}),
    {sent, [C], 0} =
        node_driver:tell(D, {send, self(), #{messages => 2, size => 3}}),
    [receive M -> ?assertEqual({C, I, <<0, 7, 14>>}, M) end || I <- [1, 2]],
    node_driver:ok(D, {exit, Group, {over, 1}}),
    [receive {'EXIT', P, R} -> ?assertEqual({over, 1}, R) end || P <- [A, B]],
    await_report(D, Group, #{living => 0, messages => 30, disorder => 0,
                             ends => [{{over, 1}, 2}]}),
    #{senders := Got} = node_driver:report(D, Group),
    ?assertEqual(lists:sort([{P, 10, 10} || P <- Senders]), lists:sort(Got)),
    Hidden = not ?config(visible, Config),
    ?assertMatch([{up, Here, _, Hidden, 'CN_OK', _, _} | _],
                 node_driver:events(D)),
    ?assertMatch({error, 'CN_ENOENT', _},
                 node_driver:tell(D, {connect, cnode_test:unique_node("no")})),
    ?assertEqual([Here], node_driver:tell(D, peers)).

calls_from_c(Config) ->
    D = ?config(driver, Config),
    Here = node(),
    Rpc = fun(M, F, A, Ms) -> node_driver:tell(D, {rpc, Here, M, F, A, Ms}) end,
    ?assertEqual({'CN_OK', 3}, Rpc(erlang, '+', [1, 2], ?WAIT)),
    ?assertMatch({'CN_EREMOTE', {error, badarith, _}},
                 Rpc(erlang, '+', [1, a], ?WAIT)),
    ?assertMatch({'CN_EREMOTE', {throw, ball, _}},
                 Rpc(erlang, throw, [ball], ?WAIT)),
    ?assertMatch({'CN_EREMOTE', {exit, why, _}},
                 Rpc(erlang, exit, [why], ?WAIT)),
    ?assertMatch({'CN_EREMOTE', {error, undef, _}},
                 Rpc(no_such, function, [], ?WAIT)),
    ?assertMatch({'CN_ETIMEDOUT', []}, Rpc(timer, sleep, [60000], 100)),
    Server = spawn_link(fun answer_calls/0),
    register(node_suite_server, Server),
    Call = fun(Name, Ms, Request) ->
                   node_driver:tell(D, {call, Here, Name, Ms, Request})
           end,
    ?assertEqual({'CN_OK', {ok, #{a => 1}}},
                 Call(node_suite_server, ?WAIT, #{a => 1})),
    ?assertMatch({'CN_ENOPROC', _}, Call(node_suite_nobody, ?WAIT, x)),
    ?assertMatch({'CN_ETIMEDOUT', []}, Call(node_suite_server, 100, silence)),
    ?assertMatch({'CN_EEXITED', fell}, Call(node_suite_server, ?WAIT, fall)),
    receive {'EXIT', Server, fell} -> ok end,
    ?assertEqual([], flush()).

answer_calls() ->
    receive
        {'$gen_call', _, silence} -> answer_calls();
        {'$gen_call', _, fall} -> exit(fell);
        {'$gen_call', From, X} -> gen_server:reply(From, {ok, X}),
                                  answer_calls()
    end.

links_from_c(Config) ->
    D = ?config(driver, Config),
    {Group, Pids} = spawned(D, 4, trap),
    [A, B, C, Dead] = [cnode_test:alive_process([]) || _ <- lists:seq(1, 3)]
        ++ [cnode_test:dead_pid()],
    node_driver:ok(D, {link, Group, [A, B, C, Dead]}),
    node_driver:ok(D, {unlink, Group, [A, B, C, Dead]}),
    node_driver:ok(D, {link, Group, [A, B, C, Dead]}),
    %% Behind all that.
    {'CN_OK', _} = node_driver:tell(D, {rpc, node(), erlang, node, [], ?WAIT}),
    ?assertEqual({links, [lists:nth(3, Pids)]}, process_info(C, links)),
    A ! {exit, {reason, <<"of A">>}},
    B ! {exit, normal},
    exit(C, kill),
    %% Of the dead one the first link tells, or was taken back in time.
    wait_until(fun() ->
                       #{exits := Exits} = node_driver:report(D, Group),
                       Seen = proplists:delete(noproc, Exits),
                       lists:sort(Seen) =:=
                           [{killed, 1}, {normal, 1},
                            {{reason, <<"of A">>}, 1}]
                           andalso proplists:is_defined(noproc, Exits)
               end),
    #{living := 4} = node_driver:report(D, Group),
    {Plain, [P]} = spawned(D, 1, plain),
    node_driver:ok(D, {link, Plain, [self()]}),
    exit(P, {end_, it}),
    receive {'EXIT', P, {end_, it}} -> ok end,
    await_report(D, Plain, #{living => 0, ends => [{{end_, it}, 1}]}),
    ?assertEqual([], flush()).

%% Both sides link and unlink as fast as they can, so that what they say crosses
%% on the way: in the end both agree, whoever was the last.
crossing_unlinks(Config) ->
    D = ?config(driver, Config),
    [begin
         {Group, [P]} = spawned(D, 1, trap),
         Me = self(),
         T = spawn_link(fun() -> link_and_unlink(Me, P) end),
         [begin
              T ! {again, 2000},
              [begin
                   node_driver:ok(D, {link, Group, [T]}),
                   node_driver:ok(D, {unlink, Group, [T]})
               end || _ <- lists:seq(1, 20)],
              receive {T, done} -> ok end,
              ?assertMatch({'CN_OK', _},
                           node_driver:tell(D, {rpc, node(), erlang, node, [],
                                                ?WAIT})),
              barrier(D),
              ?assertEqual({links, [Me]}, process_info(T, links))
          end || _ <- lists:seq(1, 5)],
         case Last of
             c -> node_driver:ok(D, {link, Group, [T]});
             erlang -> T ! link, receive {T, done} -> ok end
         end,
         {'CN_OK', _} = node_driver:tell(D, {rpc, node(), erlang, node, [],
                                             ?WAIT}),
         barrier(D),
         ?assertEqual({links, lists:sort([Me, P])},
                      sorted(process_info(T, links))),
         unlink(T),
         case Last of
             c ->
                 T ! {exit, crossed},
                 await_report(D, Group, #{exits => [{crossed, 1}]});
             erlang ->
                 node_driver:ok(D, {exit, Group, crossed}),
                 receive {T, {'EXIT', P, Why}} ->
                         ?assertEqual(crossed, Why) end,
                 T ! {exit, normal}
         end,
         barrier(D),
         ?assertEqual([], flush())
     end || Last <- [c, erlang]].

sorted({Key, List}) -> {Key, lists:sort(List)}.

link_and_unlink(To, P) ->
    process_flag(trap_exit, true),
    receive
        {again, N} ->
            [begin link(P), unlink(P) end || _ <- lists:seq(1, N)],
            To ! {self(), done};
        link ->
            link(P),
            To ! {self(), done};
        {exit, Reason} ->
            exit(Reason);
        {'EXIT', _, _} = M ->
            To ! {self(), M}
    end,
    link_and_unlink(To, P).

monitors_from_c(Config) ->
    D = ?config(driver, Config),
    {Group, _} = spawned(D, 5, trap),
    {Off, _} = spawned(D, 1, trap),
    A = cnode_test:alive_process([]),
    B = cnode_test:alive_process([]),
    register(node_suite_b, B),
    node_driver:ok(D, {monitor, Group, [A, B, {node_suite_b, node()},
                                        {node_suite_nobody, node()},
                                        cnode_test:dead_pid()]}),
    node_driver:ok(D, {monitor, Off, [A, B, {node_suite_b, node()}]}),
    await_report(D, Group, #{downs => [{noproc, 2}], monitors => {3, 2, 0}}),
    node_driver:ok(D, {demonitor, Off}),
    wait_until(fun() ->
                       {monitored_by, By} = process_info(A, monitored_by),
                       length(By) =:= 1
               end),
    A ! {exit, why},
    B ! {exit, why},
    await_report(D, Group, #{downs => [{noproc, 2}, {why, 3}],
                             monitors => {0, 5, 0}, strange => 0}),
    await_report(D, Off, #{downs => [], strange => 0}).

%% A C process starts one here, with a link and a monitor.
spawns_from_c(Config) ->
    D = ?config(driver, Config),
    {Group, [P]} = spawned(D, 1, trap),
    Remote = fun(M, F, A) ->
                     node_driver:tell(D, {remote, Group, node(), M, F, A})
             end,
    {'CN_OK', Child} = Remote(?MODULE, told_to_exit, [self()]),
    receive {Child, started} -> ok end,
    ?assertEqual({links, [P]}, process_info(Child, links)),
    ?assertEqual({monitored_by, [P]}, process_info(Child, monitored_by)),
    Child ! {exit, {over, "now"}},
    await_report(D, Group, #{exits => [{{over, "now"}, 1}],
                             downs => [{{over, "now"}, 1}],
                             links => {0, 1, 0}, monitors => {0, 1, 0},
                             strange => 0}),
    %% One that does not exist starts all the same, and ends at once.
    {'CN_OK', _} = Remote(no_such, function, [1]),
    wait_until(fun() ->
                       #{links := L, monitors := M, strange := 0} =
                           node_driver:report(D, Group),
                       {L, M} =:= {{0, 2, 0}, {0, 2, 0}}
               end),
    #{downs := Downs} = node_driver:report(D, Group),
    ?assertMatch([{undef, [{no_such, function, [1], _} | _]}],
                 [R || {R, 1} <- Downs, element(1, R) =:= undef]).

told_to_exit(To) ->
    To ! {self(), started},
    receive {exit, R} -> exit(R) end.

%% Every release answers where it reads its connection.
ping_measures(Config) ->
    D = ?config(driver, Config),
    [begin
         {ok, Us} = node_driver:tell(D, {ping, node()}),
         ?assert(is_integer(Us) andalso Us > 0)
     end || _ <- lists:seq(1, 3)].

aliases(Config) ->
    D = ?config(driver, Config),
    {Group, [P]} = spawned(D, 1, trap),
    Me = self(),
    Messages = fun(N) -> await_report(D, Group, #{messages => N}) end,
    {ok, Alias} = node_driver:tell(D, {alias, Group, false}),
    {ok, Once} = node_driver:tell(D, {alias, Group, true}),
    [Alias ! {Me, I, x} || I <- [1, 2, 3]],
    [Once ! {Me, I, x} || I <- [4, 5, 6]],
    P ! {Me, 5, x},
    Messages(5),
    ok = node_driver:tell(D, {unalias, Group, Alias}),
    Alias ! {Me, 6, x},
    P ! {Me, 6, x},
    Messages(6),
    await_report(D, Group, #{disorder => 0}),
    %% And ours from there.
    Here = alias(),
    ok = node_driver:tell(D, {alias_send, Here, {hello, [1]}}),
    receive M1 -> ?assertEqual({hello, [1]}, M1) end,
    Reply = alias([reply]),
    [ok = node_driver:tell(D, {alias_send, Reply, I}) || I <- [1, 2]],
    unalias(Here),
    ok = node_driver:tell(D, {alias_send, Here, gone}),
    {sent, [S], _} = node_driver:tell(D, {send, Me, #{}}),
    receive M2 -> ?assertEqual(1, M2) end,
    receive M3 -> ?assertEqual({S, 1, <<>>}, M3) end,
    ?assertEqual([], flush()).

%% Exit reasons that do not fit into one fragment, with small ones between.
large_reasons(Config) ->
    D = ?config(driver, Config),
    Reason = {large, binary:copy(<<"reason ">>, 100000)},
    {Group, _} = spawned(D, 1, trap),
    All = [cnode_test:alive_process([]) || _ <- lists:seq(1, 6)],
    node_driver:ok(D, {link, Group, All}),
    node_driver:ok(D, {monitor, Group, All}),
    {'CN_OK', _} = node_driver:tell(D, {rpc, node(), erlang, node, [], ?WAIT}),
    [P ! {exit, R} || {P, R} <- lists:zip(All, [Reason, small, Reason, small,
                                                Reason, small])],
    wait_until(fun() ->
                       #{exits := Exits, downs := Downs} =
                           node_driver:report(D, Group),
                       [lists:sort(X) || X <- [Exits, Downs]] =:=
                           lists:duplicate(2, [{small, 3}, {Reason, 3}])
               end),
    {Group2, Pids} = spawned(D, 3, trap),
    Refs = [begin link(P), monitor(process, P) end || P <- Pids],
    barrier(D),
    node_driver:ok(D, {exit, Group2, Reason}),
    [receive {'EXIT', P, R} -> ?assert(R =:= Reason) end || P <- Pids],
    [receive {'DOWN', Ref, _, _, R} -> ?assert(R =:= Reason) end
     || Ref <- Refs],
    {Group3, [Plain]} = spawned(D, 1, plain),
    exit(Plain, Reason),
    await_report(D, Group3, #{ends => [{Reason, 1}]}),
    Me = spawn_monitor(fun() -> receive after infinity -> ok end end),
    node_driver:ok(D, {exit_signal, Group, [element(1, Me)], Reason}),
    receive {'DOWN', _, _, _, R4} -> ?assert(R4 =:= Reason) end,
    ?assertEqual([], flush()).

%% Arguments and results as large.
large_calls(Config) ->
    D = ?config(driver, Config),
    Large = binary:copy(<<"argument">>, 100000),
    {'CN_OK', Back} = node_driver:command(D, {rpc, node(), lists, reverse,
                                              [[1, Large]], ?WAIT}),
    ?assert(Back =:= [Large, 1]),
    {'CN_EREMOTE', {error, {badmatch, Same}, _}} =
        node_driver:command(D, {rpc, node(), erlang, error,
                                [{badmatch, Large}], ?WAIT}),
    ?assert(Same =:= Large),
    {Group, _} = spawned(D, 1, trap),
    {'CN_OK', _} = node_driver:command(D, {remote, Group, node(), erlang, exit,
                                           [Large]}),
    await_report(D, Group, #{exits => [{Large, 1}], downs => [{Large, 1}]}).

%% From one C process to one Erlang process, and back: messages, link, exit.
signals_in_order(Config) ->
    D = ?config(driver, Config),
    {Group, Pids} = spawned(D, 50, plain),
    Me = self(),
    Watchers =
        [spawn_link(fun() ->
                            process_flag(trap_exit, true),
                            Ref = monitor(process, P),
                            [P ! {self(), I, x} || I <- lists:seq(1, 100)],
                            link(P),
                            exit(P, {enough, P}),
                            [P ! {self(), I, x} || I <- lists:seq(101, 200)],
                            receive {'DOWN', Ref, process, P, R1} ->
                                    ?assertEqual({enough, P}, R1) end,
                            receive {'EXIT', P, R2} ->
                                    ?assertEqual({enough, P}, R2) end,
                            Me ! {self(), done}
                    end) || P <- Pids],
    [receive {W, done} -> ok end || W <- Watchers],
    await_report(D, Group, #{living => 0, messages => 50 * 100,
                             disorder => 0}).

%% ------------------------------------------------------------------ large ones

%% What {send, ...} with a size puts into a message.
pattern(Size) ->
    Block = << <<(I * 7 + I div 256)>> || I <- lists:seq(0, 65535) >>,
    Whole = binary:copy(Block, Size div 65536 + 1),
    binary:part(Whole, 0, Size).

crc(Bin) ->
    erlang:crc32([<<109, (byte_size(Bin)):32>>, Bin]).

big_to_c(Config) ->
    D = ?config(driver, Config),
    Bin = crypto:strong_rand_bytes(?BIG),
    ?assertEqual(crc(Bin), node_driver:command(D, {crc, Bin})),
    {Group, [P]} = spawned(D, 1, trap),
    [P ! {self(), I, Bin} || I <- [1, 2]],
    await_report(D, Group, #{messages => 2, disorder => 0,
                             crc => erlang:crc32([<<109, ?BIG:32>>, Bin,
                                                  <<109, ?BIG:32>>, Bin])}).

big_from_c(Config) ->
    D = ?config(driver, Config),
    Bin = pattern(?BIG),
    {sent, [P], _} = node_driver:tell(D, {send, self(), #{messages => 2,
                                                          size => ?BIG}}),
    [receive {P, N, B} -> ?assertEqual({I, true}, {N, B =:= Bin}) end
     || I <- [1, 2]].

big_both_ways(Config) ->
    D = ?config(driver, Config),
    Bin = pattern(?BIG),
    {_, [Echo]} = spawned(D, 1, echo),
    Me = self(),
    spawn_link(fun() ->
                       node_driver:tell(D, {send, Me, #{messages => 1,
                                                        size => ?BIG}})
               end),
    Echo ! {self(), Bin},
    receive {Echo, B1} -> ?assert(B1 =:= Bin) end,
    receive {_, 1, B2} -> ?assert(B2 =:= Bin) end,
    receive {'EXIT', _, normal} -> ok end.

%% Small messages of others, while a large one is on its way, in both
%% directions: all arrive, each sender's in order.
small_between_big(Config) ->
    D = ?config(driver, Config),
    {Group, Pids} = spawned(D, 4, trap),
    Bin = pattern(8 bsl 20),
    Me = self(),
    Counters = [spawn_link(fun() -> count_all(Me, #{}, 4 * 1000 + 2 * 4) end)
                || _ <- lists:seq(1, 2)],
    Sends = [spawn_link(fun() -> node_driver:tell(D, {send, C, O}) end)
             || C <- Counters,
                O <- [#{messages => 2, senders => 4, size => byte_size(Bin)},
                      #{messages => 1000, senders => 4}]],
    in_parallel(8, fun(I) when I rem 2 =:= 0 ->
                           [P ! {self(), N, Bin} || P <- Pids, N <- [1, 2]];
                      (_) ->
                           [P ! {self(), N, N} || N <- lists:seq(1, 1000),
                                                  P <- Pids]
                   end),
    [receive {C, {counted, Last}} ->
             ?assertEqual(lists:duplicate(4, 2) ++ lists:duplicate(4, 1000),
                          lists:sort(maps:values(Last))) end || C <- Counters],
    [receive {'EXIT', P, normal} -> ok end || P <- Counters ++ Sends],
    await_report(D, Group, #{messages => 4 * 1000 * 4 + 4 * 2 * 4,
                             disorder => 0}).

%% Receives N messages {Sender, I, _} in the order of each sender.
count_all(To, Last, 0) ->
    To ! {self(), {counted, Last}};
count_all(To, Last, N) ->
    receive
        {P, I, _} ->
            ?assertEqual(maps:get(P, Last, 0) + 1, I),
            count_all(To, Last#{P => I}, N - 1)
    end.

%% 125,000 from each of 8 senders, one way and then the other.
million_in_order(_) ->
    D = node_driver:start(#{visible => true}),
    {Group, [P]} = spawned(D, 1, trap),
    Messages = 1000000 div 8,
    in_parallel(8, fun(_) ->
                           [P ! {self(), I, x}
                            || I <- lists:seq(1, Messages)]
                   end),
    await_report(D, Group, #{messages => 8 * Messages, disorder => 0}),
    #{senders := Senders} = node_driver:report(D, Group),
    ?assertEqual(lists:duplicate(8, Messages), [N || {_, _, N} <- Senders]),
    Me = self(),
    Counter = spawn_link(fun() -> count_all(Me, #{}, 8 * Messages) end),
    {sent, _, _} = node_driver:tell(D, {send, Counter, #{messages => Messages,
                                                         senders => 8}},
                                   2 * ?WAIT),
    receive {Counter, {counted, Last}} ->
            ?assertEqual(lists:duplicate(8, Messages), maps:values(Last)) end,
    node_driver:stop(D).

%% One node sends as much as it can, and the calls of another one are answered
%% before much more of it is read.
flood_delays_nobody(_) ->
    D = #{node := Node} = node_driver:start(#{visible => true}),
    {Group, [To]} = spawned(D, 1, trap),
    {Peer, _} = cnode_test:start_peer(#{}),
    ok = peer:call(Peer, ?MODULE, start_flood, [To, 2], ?WAIT),
    wait_until(fun() ->
                       #{messages := M} = node_driver:report(D, Group),
                       M > 1000
               end),
    Counts = [begin
                  #{messages_in := N} = gen_server:call({driver, Node}, stats,
                                                        ?WAIT),
                  N
              end || _ <- lists:seq(1, 51)],
    Between = [B - A || {A, B} <- lists:zip(lists:droplast(Counts),
                                            tl(Counts))],
    #{disorder := 0} = node_driver:report(D, Group),
    ct:log("messages of the flood between two answers: ~w", [Between]),
    ?assert(lists:nth(40, lists:sort(Between)) < 50000),
    cnode_test:stop_peer(Peer),
    node_driver:stop(D).

%% What is sent to an Erlang node that stands still is kept within the limit,
%% and another one is served as ever.
stopped_erlang_delays_nobody(_) ->
    D = node_driver:start(#{args => ["--max-queue", "4000000"]}),
    {Peer, Node} = cnode_test:start_peer(#{}),
    Os = peer:call(Peer, os, getpid, [], ?WAIT),
    To = peer:call(Peer, ?MODULE, start_counter, [self(), 300], ?WAIT),
    ?assertMatch({ok, _}, node_driver:tell(D, {ping, Node})),
    Rss = cnode_test:rss(D),
    cnode_test:freeze(Os),
    Me = self(),
    Flood = spawn_link(fun() ->
                               Me ! {self(), node_driver:tell(
                                               D, {send, To,
                                                   #{messages => 300,
                                                     size => 100000}})}
                       end),
    [?assertEqual({'CN_OK', node()},
                  node_driver:tell(D, {rpc, node(), erlang, node, [], ?WAIT}))
     || _ <- lists:seq(1, 50)],
    [?assert(is_map(node_driver:command(D, stats))) || _ <- lists:seq(1, 50)],
    receive {Flood, Early} -> ct:fail(Early) after 0 -> ok end,
    Kb = cnode_test:rss(D),
    ct:log("VmRSS ~p kB, before ~p", [Kb, Rss]),
    ?assert(Kb < Rss + 40000),
    os:cmd("kill -CONT " ++ Os),
    receive {Flood, {sent, _, Busy}} -> ?assert(Busy > 0) end,
    receive {To, {counted, Last}} ->
            ?assertEqual([300], maps:values(Last)) end,
    cnode_test:stop_peer(Peer),
    node_driver:stop(D).

start_counter(To, N) ->
    spawn(fun() -> count_all(To, #{}, N) end).

start_flood(To, Count) ->
    [spawn(fun() -> flood(To, 1) end) || _ <- lists:seq(1, Count)],
    ok.

flood(To, I) ->
    To ! {self(), I, <<>>},
    flood(To, I + 1).

%% In the middle of messages that take long: what was not whole never comes, and
%% the memory for it is given back.
killed_while_sending(_) ->
    D = node_driver:start(#{visible => true}),
    {Group, [To]} = spawned(D, 1, trap),
    Rss = cnode_test:rss(D),
    [begin
         {Peer, Node} = cnode_test:start_peer(#{}),
         ok = peer:call(Peer, ?MODULE, start_big_flood, [To, 4], ?WAIT),
         #{messages := Before} = node_driver:report(D, Group),
         wait_until(fun() ->
                            #{messages := M} = node_driver:report(D, Group),
                            M > Before
                    end),
         os:cmd("kill -KILL " ++ peer:call(Peer, os, getpid, [], ?WAIT)),
         node_driver:await_event(D, {down, Node}, 1, ?WAIT),
         cnode_test:stop_peer(Peer)
     end || _ <- [1, 2]],
    #{messages := Messages, disorder := 0, bytes := Bytes} =
        node_driver:report(D, Group),
    ?assert(Bytes > Messages * (8 bsl 20)),
    ?assert(Bytes < Messages * (8 bsl 20) + Messages * 200),
    wait_until(fun() -> cnode_test:rss(D) < Rss + 60000 end),
    ct:log("~p messages, VmRSS ~p kB, at first ~p",
           [Messages, cnode_test:rss(D), Rss]),
    node_driver:stop(D).

start_big_flood(To, Count) ->
    Bin = binary:copy(<<"12345678">>, 1 bsl 20),
    [spawn(fun() -> [To ! {self(), I, Bin} || I <- lists:seq(1, 100)] end)
     || _ <- lists:seq(1, Count)],
    ok.

%% The same the other way.
c_killed_while_sending(_) ->
    D = node_driver:start(#{}),
    Bin = pattern(8 bsl 20),
    Me = self(),
    Sender = spawn_link(fun() ->
                                catch node_driver:tell(
                                        D, {send, Me,
                                            #{messages => 100, senders => 4,
                                              size => 8 bsl 20}})
                        end),
    receive {_, 1, B} -> ?assert(B =:= Bin) end,
    cnode_test:kill9(D),
    receive {'EXIT', Sender, normal} -> ok end,
    wait_until(fun() -> not lists:member(maps:get(node, D), nodes(connected))
               end),
    [?assert(X =:= Bin) || {P, I, X} <- flush(), is_pid(P), is_integer(I)],
    ok.

%% ------------------------------------------------------------------------ atoms

%% As the driver names them.
atom(I, Count) ->
    list_to_atom("a" ++ integer_to_list(I rem Count)).

wire(Atom) ->
    Text = atom_to_binary(Atom),
    <<119, (byte_size(Text)), Text/binary>>.

%% More than a cache has places, and all of them again.
atoms_to_c(Config) ->
    D = ?config(driver, Config),
    {Group, [P]} = spawned(D, 1, trap),
    Atoms = [atom(I, 2500) || I <- lists:seq(1, 5000)],
    [P ! {self(), I, A} || {I, A} <- lists:zip(lists:seq(1, 5000), Atoms)],
    await_report(D, Group, #{messages => 5000, disorder => 0,
                             crc => erlang:crc32([wire(A) || A <- Atoms])}).

atoms_from_c(Config) ->
    D = ?config(driver, Config),
    {sent, [P], _} = node_driver:tell(D, {send, self(), #{messages => 5000,
                                                          atoms => 2500}}),
    [receive M -> ?assertEqual({P, I, atom(I, 2500)}, M) end
     || I <- lists:seq(1, 5000)].

%% More than one header can hold, of all lengths and alphabets.
atoms_in_one_message(Config) ->
    D = ?config(driver, Config),
    {_, [Echo]} = spawned(D, 1, echo),
    Short = [atom(I, 2500) || I <- lists:seq(1, 2500)],
    Long = [list_to_atom(lists:duplicate(200, 16#20ac) ++ integer_to_list(I))
            || I <- lists:seq(1, 300)],
    Other = ['', 'O\'Brien', list_to_atom([0]), 'é', '𝄞', true, nil,
             list_to_atom(lists:duplicate(255, $x))],
    [begin
         Echo ! {self(), Atoms},
         receive {Echo, Back} -> ?assertEqual(Atoms, Back) end
     end || Atoms <- [Short, Long, Other, Short ++ Long, [], Long ++ Short,
                      lists:reverse(Short), [{A, #{A => A}} || A <- Short]]].

%% -------------------------------------------------- relations, torn down at once

%% Links and monitors of 100 Erlang processes with 1,000 C processes.
watchers(Pids) ->
    Me = self(),
    All = [spawn_link(fun() ->
                              process_flag(trap_exit, true),
                              [link(P) || P <- Pids],
                              Refs = [monitor(process, P) || P <- Pids],
                              Me ! {self(), watching},
                              watch(Me, Pids, Refs)
                      end) || _ <- lists:seq(1, ?MANY div length(Pids))],
    [receive {W, watching} -> ok end || W <- All],
    All.

%% Tells how often each reason came, once all were told, and that there was
%% nothing else.
watch(To, Pids, Refs) ->
    Keys = [{'EXIT', P} || P <- Pids] ++ [{'DOWN', R} || R <- Refs],
    {Exits, Downs} = told(maps:from_keys(Keys, []), #{}, #{}),
    To ! {self(), Exits, Downs},
    receive finish -> To ! {self(), flush()} end.

told(Left, Exits, Downs) when map_size(Left) =:= 0 ->
    {Exits, Downs};
told(Left, Exits, Downs) ->
    receive
        {'EXIT', Pid, Reason} ->
            {_, Rest} = maps:take({'EXIT', Pid}, Left),
            told(Rest, one_more(Reason, Exits), Downs);
        {'DOWN', Ref, process, _, Reason} ->
            {_, Rest} = maps:take({'DOWN', Ref}, Left),
            told(Rest, Exits, one_more(Reason, Downs))
    end.

one_more(Key, Map) ->
    maps:update_with(Key, fun(N) -> N + 1 end, 1, Map).

all_told(Watchers, Reason, Each) ->
    [receive {W, Exits, Downs} ->
             ?assertEqual({#{Reason => Each}, #{Reason => Each}},
                          {Exits, Downs}) end || W <- Watchers].

finished(Watchers) ->
    [W ! finish || W <- Watchers],
    [receive {W, Rest} -> ?assertEqual([], Rest) end || W <- Watchers],
    [receive {'EXIT', W, R} -> ?assertEqual(normal, R) end || W <- Watchers].

c_killed(_) ->
    D = #{node := Node} = node_driver:start(#{}),
    {_, Pids} = spawned(D, 1000, trap),
    Watchers = watchers(Pids),
    barrier(D),
    cnode_test:kill9(D),
    all_told(Watchers, noconnection, 1000),
    wait_until(fun() -> not lists:member(Node, nodes(connected)) end),
    finished(Watchers).

%% The C processes end, and the connection lives.
c_processes_end(_) ->
    D = node_driver:start(#{}),
    {Group, Pids} = spawned(D, 1000, trap),
    Watchers = watchers(Pids),
    barrier(D),
    node_driver:ok(D, {exit, Group, {all, ended}}),
    all_told(Watchers, {all, ended}, 1000),
    barrier(D),
    finished(Watchers),
    node_driver:stop(D).

%% Links and monitors of 10^5 C processes, one of each, with those of a node.
with_erlang(Fun) ->
    D = node_driver:start(#{visible => true}),
    {Peer, Node} = cnode_test:start_peer(#{}),
    Far = peer:call(Peer, ?MODULE, sleepers, [1000], ?WAIT),
    {Group, _} = spawned(D, ?MANY, trap),
    node_driver:ok(D, {link, Group, Far}),
    node_driver:ok(D, {monitor, Group, Far}),
    %% Behind all of them.
    {'CN_OK', _} = node_driver:tell(D, {rpc, Node, erlang, now, [], ?WAIT},
                                    2 * ?WAIT),
    Fun(D, Group, Peer, Node),
    cnode_test:stop_peer(Peer),
    node_driver:stop(D).

%% Processes that nobody links with, from where they are asked for, once they
%% sleep.
sleepers(N) ->
    Me = self(),
    Pids = [spawn(fun() ->
                          put(sleeper, true),
                          Me ! {self(), sleeps},
                          receive {exit, R} -> exit(R) end
                  end) || _ <- lists:seq(1, N)],
    [receive {P, sleeps} -> P end || P <- Pids].

wake(Reason) ->
    [P ! {exit, Reason} || P <- processes(),
                           {dictionary, [{sleeper, true}]} <-
                               [process_info(P, dictionary)]],
    ok.

all_once(Reason) ->
    #{living => ?MANY, strange => 0,
      links => {0, ?MANY, 0}, monitors => {0, ?MANY, 0},
      exits => [{Reason, ?MANY}], downs => [{Reason, ?MANY}]}.

erlang_killed(_) ->
    with_erlang(
      fun(D, Group, Peer, Node) ->
              OsPid = peer:call(Peer, os, getpid, [], ?WAIT),
              os:cmd("kill -KILL " ++ OsPid),
              await_report(D, Group, all_once(noconnection)),
              ?assertMatch({down, Node, _, _, 'CN_ECLOSED', _, _},
                           node_driver:await_event(D, {down, Node}, 1, ?WAIT)),
              %% Nothing comes later.
              await_report(D, Group, all_once(noconnection))
      end).

erlang_processes_end(_) ->
    with_erlang(
      fun(D, Group, Peer, Node) ->
              peer:call(Peer, ?MODULE, wake, [{all, "ended"}], ?WAIT),
              await_report(D, Group, all_once({all, "ended"})),
              {'CN_OK', _} = node_driver:tell(D, {rpc, Node, erlang, node, [],
                                                  ?WAIT}),
              await_report(D, Group, all_once({all, "ended"}))
      end).

c_kills_c(_) ->
    D = node_driver:start(#{}),
    E = #{node := Node} = node_driver:start(#{}),
    {_, Far} = spawned(E, 1000, trap),
    {Group, _} = spawned(D, ?MANY, trap),
    node_driver:ok(D, {link, Group, Far}),
    node_driver:ok(D, {monitor, Group, Far}),
    ?assertMatch({_, _}, node_driver:tell(D, {call, Node, driver, ?WAIT,
                                              stats})),
    cnode_test:kill9(E),
    await_report(D, Group, all_once(noconnection)),
    node_driver:stop(D).

%% ------------------------------------------------------------ connections, names

%% Three nodes connect to each other at the same time, over and over. Names
%% decide who wins, so there are C nodes before and behind the Erlang nodes. How
%% long one may be silent meanwhile is for a machine that is busy with others.
simultaneous_connects(_) ->
    Drivers = [node_driver:start(#{name => cnode_test:unique_node(P),
                                   visible => Visible,
                                   args => ["--setup-ms",
                                            integer_to_list(?WAIT div 2)]})
               || {P, Visible} <- [{"aaa", false}, {"zzz", true}]],
    Peers = [cnode_test:start_peer(#{args => ["-kernel", "net_setuptime",
                                              integer_to_list(?WAIT div 2000)]})
             || _ <- [1, 2]],
    [A, Z] = [{c, D, maps:get(node, D)} || D <- Drivers],
    [P, Q] = [{erlang, Peer, Node} || {Peer, Node} <- Peers],
    [connect_all(Nodes) || Nodes <- [[A, P, Z], [A, P, Q], [P, Q, Z]],
                           _ <- lists:seq(1, 17)],
    [cnode_test:stop_peer(Peer) || {Peer, _} <- Peers],
    [node_driver:stop(D) || D <- Drivers].

connect_all(Nodes) ->
    Pairs = [{X, Y} || X <- Nodes, Y <- Nodes, X =/= Y],
    Me = self(),
    Tries = [spawn_link(fun() ->
                                receive go -> ok end,
                                Me ! {self(), connect(X, name_of(Y))}
                        end) || {X, Y} <- Pairs],
    [T ! go || T <- Tries],
    [receive {T, Result} -> ?assertEqual({true, Pair}, {Result, Pair}) end
     || {T, Pair} <- lists:zip(Tries, Pairs)],
    [receive {'EXIT', T, R} -> ?assertEqual(normal, R) end || T <- Tries],
    [wait_until(fun() -> lists:member(name_of(Y), connected(X)) end)
     || {X, Y} <- Pairs],
    [?assert(talks(X, Y)) || {X, Y} <- Pairs],
    [disconnect(X, name_of(Y)) || {X, Y} <- Pairs],
    [wait_until(fun() -> not lists:member(name_of(Y), connected(X)) end)
     || {X, Y} <- Pairs].

name_of({_, _, Name}) -> Name.

connect({c, D, _}, Node) ->
    case node_driver:tell(D, {connect, Node}) of
        up -> true;
        Other -> Other
    end;
connect({erlang, Peer, _}, Node) ->
    peer:call(Peer, net_kernel, connect_node, [Node], ?WAIT).

disconnect({c, D, _}, Node) -> node_driver:tell(D, {disconnect, Node});
disconnect({erlang, Peer, _}, Node) ->
    peer:call(Peer, erlang, disconnect_node, [Node], ?WAIT).

connected({c, D, _}) -> node_driver:tell(D, peers);
connected({erlang, Peer, _}) -> peer:call(Peer, erlang, nodes, [connected],
                                          ?WAIT).

%% X hears something from Y.
talks({c, D, _}, {erlang, _, Node}) ->
    {'CN_OK', Node} =:= node_driver:tell(D, {rpc, Node, erlang, node, [],
                                             ?WAIT});
talks({c, D, _}, {c, _, Node}) ->
    {'CN_OK', Stats} = node_driver:tell(D, {call, Node, driver, ?WAIT, stats}),
    is_map(Stats);
talks({erlang, Peer, _}, {c, _, Node}) ->
    is_map(peer:call(Peer, gen_server, call, [{driver, Node}, stats, ?WAIT],
                     ?WAIT));
talks({erlang, Peer, _}, {erlang, _, Node}) ->
    Node =:= peer:call(Peer, erpc, call, [Node, erlang, node, []], ?WAIT).

%% ------------------------------------------------------------------------ EPMD

%% An EPMD of our own on a port of its own.
start_epmd(Port) ->
    Epmd = os:find_executable("epmd"),
    P = open_port({spawn_executable, Epmd},
                  [{args, ["-port", integer_to_list(Port)]}, exit_status]),
    wait_until(fun() -> epmd_names(Port) =/= error end),
    P.

stop_epmd(P) ->
    {os_pid, OsPid} = erlang:port_info(P, os_pid),
    os:cmd(lists:concat(["kill -KILL ", OsPid])),
    receive {P, {exit_status, _}} -> ok end.

epmd_names(Port) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]) of
        {ok, S} ->
            ok = gen_tcp:send(S, <<1:16, $n>>),
            Names = read_to_end(S),
            gen_tcp:close(S),
            Names;
        {error, _} ->
            error
    end.

read_to_end(S) ->
    case gen_tcp:recv(S, 0, ?WAIT) of
        {ok, Bytes} -> <<Bytes/binary, (read_to_end(S))/binary>>;
        {error, closed} -> <<>>
    end.

known(#{node := Node}, Port) ->
    [Short, _] = string:split(atom_to_binary(Node), "@"),
    case epmd_names(Port) of
        error -> false;
        Names -> string:find(Names, <<"name ", Short/binary, " ">>) =/= nomatch
    end.

%% Connections, pids and the creation outlive it; names come back.
epmd_restarts(_) ->
    Port = cnode_test:free_port(),
    Env = [{"ERL_EPMD_PORT", integer_to_list(Port)}],
    First = start_epmd(Port),
    D = #{node := Node} = node_driver:start(#{env => Env}),
    E = #{node := Other} = node_driver:start(#{env => Env, visible => true}),
    ?assert(known(D, Port)),
    up = node_driver:tell(D, {connect, Other}),
    {Group, _} = spawned(D, 1, trap),
    {_, Far} = spawned(E, 1, trap),
    node_driver:ok(D, {link, Group, Far}),
    node_driver:ok(D, {monitor, Group, Far}),
    #{creation := Creation} = node_driver:tell(D, stats),
    stop_epmd(First),
    ?assertMatch({error, 'CN_EEPMD', _},
                 node_driver:tell(D, {connect, cnode_test:unique_node("no")})),
    ?assertMatch({'CN_OK', _},
                 node_driver:tell(D, {call, Other, driver, ?WAIT, stats})),
    Second = start_epmd(Port),
    wait_until(fun() -> known(D, Port) andalso known(E, Port) end),
    F = node_driver:start(#{env => Env}),
    ?assertEqual(up, node_driver:tell(F, {connect, Node})),
    ?assertEqual(up, node_driver:tell(E, {connect, maps:get(node, F)})),
    ?assertMatch(#{creation := Creation}, node_driver:tell(D, stats)),
    await_report(D, Group, #{exits => [], downs => [], links => {1, 0, 0}}),
    ?assertEqual([], [X || X <- node_driver:events(D), element(1, X) =:= down]),
    [node_driver:stop(X) || X <- [D, E, F]],
    stop_epmd(Second).

%% --------------------------------------------------------------------- restarts

%% Nobody here takes it for the old one, and its name is free.
start_again(Node) ->
    wait_until(fun() -> not lists:member(Node, nodes(connected)) end),
    cnode_test:await_unregistered(Node),
    node_driver:start(#{name => Node, visible => true}).

%% Its old pids are dead, for Erlang, for other C nodes and for itself.
c_restarts(_) ->
    First = #{node := Node} = node_driver:start(#{visible => true}),
    Other = node_driver:start(#{}),
    {_, [Old]} = spawned(First, 1, echo),
    Old ! {self(), one},
    receive {Old, one} -> ok end,
    {Watching, _} = spawned(Other, 1, trap),
    node_driver:ok(Other, {link, Watching, [Old]}),
    #{creation := Was} = node_driver:command(First, stats),
    cnode_test:kill9(First),
    await_report(Other, Watching, #{exits => [{noconnection, 1}]}),
    Second = start_again(Node),
    #{creation := Is} = node_driver:command(Second, stats),
    ?assertNotEqual(Was, Is),
    {Group, [New]} = spawned(Second, 1, echo),
    ?assertNotEqual(Old, New),
    Old ! {self(), lost},
    Ref = monitor(process, Old),
    receive {'DOWN', Ref, process, Old, R1} -> ?assertEqual(noproc, R1) end,
    link(Old),
    receive {'EXIT', Old, R2} -> ?assertEqual(noproc, R2) end,
    New ! {self(), two},
    receive {New, two} -> ok end,
    [begin
         {G, _} = spawned(D, 1, trap),
         node_driver:ok(D, {link, G, [Old]}),
         node_driver:ok(D, {monitor, G, [Old]}),
         await_report(D, G, #{exits => [{noproc, 1}], downs => [{noproc, 1}]}),
         {sent, _, _} = node_driver:tell(D, {send, Old, #{}})
     end || D <- [Second, Other]],
    barrier(Second),
    await_report(Second, Group, #{messages => 1}),
    ?assertEqual([], flush()),
    node_driver:stop(Second),
    node_driver:stop(Other).

erlang_restarts(_) ->
    D = node_driver:start(#{}),
    {Peer, Node} = cnode_test:start_peer(#{}),
    [Old] = peer:call(Peer, ?MODULE, sleepers, [1], ?WAIT),
    {Group, _} = spawned(D, 1, trap),
    node_driver:ok(D, {link, Group, [Old]}),
    node_driver:ok(D, {monitor, Group, [Old]}),
    peer:cast(Peer, erlang, halt, [0, [{flush, false}]]),
    await_report(D, Group, #{exits => [{noconnection, 1}],
                             downs => [{noconnection, 1}]}),
    cnode_test:stop_peer(Peer),
    {Again, Node} = cnode_test:start_peer(#{name => Node}),
    [New] = peer:call(Again, ?MODULE, sleepers, [1], ?WAIT),
    ?assertNotEqual(Old, New),
    {sent, _, 0} = node_driver:tell(D, {send, Old, #{messages => 100}}),
    {Group2, _} = spawned(D, 1, trap),
    node_driver:ok(D, {link, Group2, [Old, New]}),
    node_driver:ok(D, {monitor, Group2, [Old, New]}),
    await_report(D, Group2, #{exits => [{noproc, 1}], downs => [{noproc, 1}]}),
    peer:call(Again, ?MODULE, wake, [bye], ?WAIT),
    await_report(D, Group2, #{exits => [{noproc, 1}, {bye, 1}],
                              downs => [{noproc, 1}, {bye, 1}],
                              links => {0, 2, 0}, monitors => {0, 2, 0}}),
    await_report(D, Group, #{links => {0, 1, 0}, monitors => {0, 1, 0}}),
    cnode_test:stop_peer(Again),
    node_driver:stop(D).

%% ------------------------------------------------------------------------ ticks

%% Nobody says anything for more than twice the ticktime, and all stay
%% connected: C with Erlang, hidden and visible, and C with C.
ticks(_) ->
    Tick = ["--ticktime-s", "4"],
    D = #{node := N1} = node_driver:start(#{args => Tick}),
    E = #{node := N2} = node_driver:start(#{args => Tick, visible => true}),
    {Peer, Node} = cnode_test:start_peer(#{args => ["-kernel", "net_ticktime",
                                                    "4"]}),
    [up = node_driver:tell(X, {connect, Node}) || X <- [D, E]],
    up = node_driver:tell(D, {connect, N2}),
    ok = peer:call(Peer, net_kernel, monitor_nodes, [true, [{node_type, all}]],
                   ?WAIT),
    %% It is the quiet that is tested.
    receive after 9000 -> ok end,
    [?assertEqual([], [X || X <- node_driver:events(C),
                            element(1, X) =:= down]) || C <- [D, E]],
    ?assertEqual(lists:sort([N1, N2]),
                 lists:sort(peer:call(Peer, erlang, nodes, [connected],
                                      ?WAIT))),
    cnode_test:stop_peer(Peer),
    node_driver:stop(D),
    node_driver:stop(E).
