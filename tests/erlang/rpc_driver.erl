%% SPDX-License-Identifier: Apache-2.0
%%
%% The node of rpc_driver.c, seen from a test.
-module(rpc_driver).

-export([start/0, start/1, stop/1, ask/2]).

-include("patience.hrl").

start() ->
    start([]).

%% Args come behind the name; #{node, pid}. A process of its own has the port,
%% for that of init_per_suite does not live.
start(Args) ->
    Node = cnode_test:unique_node("rpc"),
    Me = self(),
    {Pid, Ref} = spawn_monitor(fun() -> own(Me, Node, Args) end),
    receive
        {Pid, ready} -> demonitor(Ref, [flush]), #{node => Node, pid => Pid};
        {'DOWN', Ref, process, Pid, Reason} -> ct:fail(Reason)
    after ?WAIT -> ct:fail(not_ready)
    end.

own(Starter, Node, Args) ->
    Program = filename:join(filename:dirname(os:getenv("NODE_DRIVER")),
                            "rpc_driver"),
    Port = open_port({spawn_executable, Program},
                     [{args, [atom_to_list(Node) | Args]}, {line, 1000},
                      exit_status, {env, [{"CNODE_COOKIE",
                                           cnode_test:cookie()}]}]),
    receive
        {Port, {data, {eol, "ready"}}} -> Starter ! {self(), ready};
        {Port, {exit_status, S}} -> exit({ended, S})
    end,
    receive
        {stop, From} ->
            port_command(Port, "stop"),
            receive {Port, {exit_status, Status}} ->
                    From ! {self(), Status} end;
        {Port, {exit_status, S1}} ->
            ct:log("~p ended: ~p", [Node, S1])
    end.

%% It leaves in order.
stop(#{pid := Pid}) ->
    Pid ! {stop, self()},
    receive {Pid, 0} -> ok;
            {Pid, Status} -> ct:fail({ended, Status})
    after ?WAIT -> ct:fail(does_not_end)
    end.

%% A command, see rpc_driver.c.
ask(#{node := Node}, Command) ->
    gen_server:call({driver, Node}, Command, ?WAIT).
