%% SPDX-License-Identifier: Apache-2.0
%%
%% The node of node_driver.c, seen from a test: starts it, gives it commands,
%% by the distribution or, with `stdio`, past it, and ends it. What start/1
%% returns is also good for signal, running, status, stderr, rss and kill9 of
%% cnode_test.
-module(node_driver).

-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-export([start/1, stop/1, program/0]).
-export([command/2, command/3, tell/2, tell/3, ok/2]).
-export([report/2, events/1, await_event/4, fds/1]).

program() ->
    case os:getenv("NODE_DRIVER") of
        false -> ct:fail("NODE_DRIVER is not set");
        Path -> Path
    end.

%% Starts it and waits until it is ready. Opts: name; cookie; args, options of
%% the program; visible; wrap, a program with its arguments to run it by; env.
start(Opts) ->
    Node = maps:get(name, Opts, cnode_test:unique_node("drv")),
    Args = ["--name", atom_to_list(Node)]
        ++ ["--visible" || maps:get(visible, Opts, false)]
        ++ maps:get(args, Opts, []),
    Err = cnode_test:file("stderr"),
    Env = [{"CT_STDERR", Err},
           %% so that with the sanitizer, too, memory that is freed goes back
           {"ASAN_OPTIONS", "quarantine_size_mb=4"},
           {"CNODE_COOKIE", maps:get(cookie, Opts, cnode_test:cookie())}
           | maps:get(env, Opts, [])],
    Command = ["-c", "exec \"$@\" 2>\"$CT_STDERR\"", "sh"
               | maps:get(wrap, Opts, [])] ++ [program() | Args],
    Me = self(),
    {Pid, Ref} = spawn_monitor(fun() -> own(Me, Command, Env) end),
    Driver = #{node => Node, pid => Pid, stderr => Err},
    receive
        {Pid, ready, OsPid, {ready, Node, Port}} ->
            demonitor(Ref, [flush]),
            Driver#{os_pid => OsPid, port => Port};
        {'DOWN', Ref, process, Pid, Reason} ->
            ct:fail("not ready: ~p~n~ts", [Reason, cnode_test:stderr(Driver)])
    after ?WAIT ->
            exit(Pid, kill),
            ct:fail("not ready in time: ~ts", [cnode_test:stderr(Driver)])
    end.

own(Starter, Command, Env) ->
    Port = open_port({spawn_executable, "/bin/sh"},
                     [{args, Command}, {env, Env}, binary, exit_status,
                      use_stdio, {packet, 4}]),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    put(cnode_test, OsPid), % so that stop_all of that module finds it
    receive
        {Port, {data, Bytes}} ->
            {0, Ready} = binary_to_term(Bytes),
            Starter ! {self(), ready, OsPid, Ready},
            loop(Port, 1, #{}, running);
        {Port, {exit_status, Status}} ->
            exit({status, Status})
    end.

loop(Port, Next, Asked, Status) ->
    receive
        {Port, {data, Bytes}} ->
            {Number, Answer} = binary_to_term(Bytes),
            {{From, Ref}, Rest} = maps:take(Number, Asked),
            From ! {Ref, Answer},
            loop(Port, Next, Rest, Status);
        {Port, {exit_status, S}} ->
            erase(cnode_test),
            [From ! {Ref, {ended, S}} || {From, Ref} <- maps:values(Asked)],
            loop(Port, Next, #{}, S);
        {From, Ref, status} ->
            From ! {Ref, Status},
            loop(Port, Next, Asked, Status);
        {From, Ref, {tell, _}} when Status =/= running ->
            From ! {Ref, {ended, Status}},
            loop(Port, Next, Asked, Status);
        {From, Ref, {tell, Command}} ->
            port_command(Port, term_to_binary({Next, Command})),
            loop(Port, Next + 1, Asked#{Next => {From, Ref}}, Status)
    end.

%% Leaves in order: `stop`, status 0.
stop(Driver) ->
    ?assertEqual(ok, tell(Driver, stop)),
    Status = cnode_test:status(Driver),
    ct:log("stderr of ~p:~n~ts",
           [maps:get(node, Driver), cnode_test:stderr(Driver)]),
    ?assertEqual(0, Status).

%% A command by the distribution.
command(Driver, Command) ->
    command(Driver, Command, ?WAIT).

command(#{node := Node}, Command, Ms) ->
    gen_server:call({driver, Node}, Command, Ms).

%% The same through stdin.
tell(Driver, Command) ->
    tell(Driver, Command, ?WAIT).

tell(#{pid := Pid}, Command, Ms) ->
    Ref = monitor(process, Pid),
    Pid ! {self(), Ref, {tell, Command}},
    receive
        {Ref, Answer} -> demonitor(Ref, [flush]), Answer;
        {'DOWN', Ref, _, _, Reason} -> error({driver_process, Reason})
    after Ms ->
            error({no_answer, Command})
    end.

%% A command that has to succeed.
ok(Driver, Command) ->
    ?assertEqual(ok, tell(Driver, Command)).

report(Driver, Group) ->
    tell(Driver, {report, Group}).

%% [{up | down, Node, Id, Hidden, Code, Text, MsAgo}]
events(Driver) ->
    {Now, Events} = tell(Driver, events),
    [setelement(7, E, Now - element(7, E)) || E <- Events].

%% The Nth (from 1) event of that kind with that node, within Ms.
await_event(Driver, {Kind, Node}, N, Ms) ->
    cnode_test:wait_until(
      fun() ->
              Like = [E || E <- events(Driver), element(1, E) =:= Kind,
                           element(2, E) =:= Node],
              length(Like) >= N andalso lists:nth(N, Like)
      end, Ms).

%% How many descriptors it has open.
fds(#{os_pid := OsPid}) ->
    {ok, Names} = file:list_dir(lists:concat(["/proc/", OsPid, "/fd"])),
    length(Names).
