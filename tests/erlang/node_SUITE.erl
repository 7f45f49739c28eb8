%% SPDX-License-Identifier: Apache-2.0
%%
%% A node under load and through changes, from both sides: the C side is
%% node_driver.c, which does what it is told.
-module(node_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [driver_obeys].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

%% The driver itself, on both ways.
driver_obeys(_) ->
    D = node_driver:start(#{}),
    Here = node(),
    [A, B] = node_driver:command(D, {spawn, group, 2, trap}),
    node_driver:ok(D, {link, group, [self()]}),
    node_driver:ok(D, {monitor, group, [self(), {no_such_name, node()}]}),
    {sent, Senders, 0} =
        node_driver:command(D, {send, A, #{messages => 10, senders => 3}}),
    {sent, [C], 0} =
        node_driver:tell(D, {send, self(), #{messages => 2, size => 3}}),
    [receive M -> ?assertEqual({C, I, <<0, 7, 14>>}, M) end || I <- [1, 2]],
    node_driver:ok(D, {exit, group, {over, 1}}),
    cnode_test:wait_until(
      fun() -> #{living := L} = node_driver:report(D, group), L =:= 0 end),
    [receive {'EXIT', P, R} -> ?assertEqual({over, 1}, R) end || P <- [A, B]],
    #{messages := 30, disorder := 0, senders := Got, ends := Ends} =
        node_driver:report(D, group),
    ?assertEqual(lists:sort([{P, 10, 10} || P <- Senders]), lists:sort(Got)),
    ?assertEqual([{{over, 1}, 2}], Ends),
    ?assertMatch([{up, Here, _, true, 'CN_OK', _, _}], node_driver:events(D)),
    ?assertMatch({error, 'CN_ENOENT', _},
                 node_driver:tell(D, {connect, cnode_test:unique_node("no")})),
    ?assertEqual({'CN_OK', 3},
                 node_driver:tell(D, {rpc, Here, erlang, '+', [1, 2], 5000})),
    ?assertEqual([Here], node_driver:tell(D, peers)),
    node_driver:stop(D).
