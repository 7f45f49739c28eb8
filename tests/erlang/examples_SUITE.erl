%% SPDX-License-Identifier: Apache-2.0
%%
%% Examples that need a node of Erlang to do their work: the connection in a
%% loop of its own (examples/poll.c).
-module(examples_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-define(POLL, 'poll@127.0.0.1').

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [poll_answers, poll_lives_by_ticks, poll_is_told_of_a_wrong_cookie].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

%% --------------------------------------------------------------- programs

poll(Node, Cookie) ->
    poll(Node, Cookie, []).

poll(Node, Cookie, More) ->
    Program = os:getenv("POLL_EXAMPLE"),
    [Name, _] = string:split(atom_to_list(Node), "@"),
    {port, Port, _} = erl_epmd:port_please(Name, {127, 0, 0, 1}),
    open_port({spawn_executable, Program},
              [{args, [atom_to_list(Node), integer_to_list(Port) | More]},
               {env, [{"CNODE_COOKIE", Cookie}]}, {line, 500}, exit_status,
               stderr_to_stdout]).

line(Port) ->
    receive {Port, {data, {eol, Line}}} -> Line after ?WAIT -> timeout end.

ended(Port) ->
    receive {Port, {exit_status, Status}} -> Status after ?WAIT -> timeout end.

%% ------------------------------------------------------------------ cases

poll_answers(_) ->
    Port = poll(node(), cnode_test:cookie()),
    ?assertEqual("up: " ++ atom_to_list(node()), line(Port)),
    Large = binary:copy(<<"0123456789abcdef">>, 200000),
    [begin
         {echo, ?POLL} ! {self(), Term},
         receive {From, Term} -> ?assertEqual(?POLL, node(From)) end
     end || Term <- [hello, {1, "two", 3.0}, Large | lists:seq(1, 1000)]],
    ?assert(lists:member(?POLL, nodes(hidden))),
    ?assertExit({noproc, _}, gen_server:call({other, ?POLL}, x, ?WAIT)),
    Ref = monitor(process, {echo, ?POLL}),
    receive {'DOWN', Ref, process, {echo, ?POLL}, noproc} -> ok end,
    true = net_kernel:disconnect(?POLL),
    ?assertEqual("down: the peer closed the connection", line(Port)),
    ?assertEqual(0, ended(Port)).

%% Nothing is said for longer than the tick time of that node.
poll_lives_by_ticks(_) ->
    Args = ["-kernel", "net_ticktime", "4"],
    cnode_test:with_peer(#{args => Args}, fun(Peer, Node) ->
        Port = poll(Node, cnode_test:cookie(), ["4"]),
        ?assertEqual("up: " ++ atom_to_list(Node), line(Port)),
        receive {Port, What} -> ct:fail(What) after 7000 -> ok end,
        ?assertEqual([?POLL], peer:call(Peer, erlang, nodes, [hidden], ?WAIT)),
        cnode_test:stop_peer(Peer),
        ?assertEqual("down: the peer closed the connection", line(Port)),
        ?assertEqual(0, ended(Port))
    end).

poll_is_told_of_a_wrong_cookie(_) ->
    Port = poll(node(), "another"),
    ?assertMatch("down: " ++ _, line(Port)),
    ?assertEqual(0, ended(Port)).
