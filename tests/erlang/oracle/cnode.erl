%% SPDX-License-Identifier: Apache-2.0
%%
%% The reference node of `cnode serve` written in Erlang. See the file `cnode`.
%% Two differences: nobody can ask who sent a message here, so `mortal` reports
%% to the first living process that it was told to link to; and calls that timed
%% out run on (serve_SUITE:erpc_timeout_cancels fails, and so does sigint).
-module(cnode).

-export([main/0, echo/1, add/2, info/0, sleep/1, fail/1, loop/0]).

main() ->
    Args = [A || A <- init:get_plain_arguments(), A =/= "serve"],
    Opts = options(Args, #{connect => []}),
    Name = list_to_atom(maps:get("--name", Opts)),
    [Short, Host] = string:split(maps:get("--name", Opts), "@"),
    Domain = case lists:member($., Host) of true -> longnames;
                                            false -> shortnames end,
    {ok, _} = net_kernel:start(Name, #{name_domain => Domain,
                                       hidden => not is_map_key(visible, Opts)}),
    erlang:set_cookie(node(), list_to_atom(os:getenv("CNODE_COOKIE"))),
    {port, Port, _} = erl_epmd:port_please(Short, {127, 0, 0, 1}),
    register(echo, spawn(fun loop/0)),
    register(sink, spawn(fun() -> sink(0, 0) end)),
    spawn(fun mortal_keeper/0),
    [net_kernel:connect_node(N) || N <- maps:get(connect, Opts)],
    io:format("CNODE READY ~s ~w~n", [Name, Port]),
    case maps:is_key(eof, Opts) of
        true -> io:get_line(""), halt(0);
        false -> ok
    end.

options(["--visible" | T], O) -> options(T, O#{visible => true});
options(["--stdin-eof" | T], O) -> options(T, O#{eof => true});
options(["-v" ++ _ | T], O) -> options(T, O);
options(["--connect", N | T], #{connect := C} = O) ->
    options(T, O#{connect := C ++ [list_to_atom(N)]});
options([K, V | T], O) -> options(T, O#{K => V});
options([], O) -> O.

echo(T) -> T.
add(A, B) -> A + B.
sleep(Ms) -> timer:sleep(Ms).
fail(R) -> error(R).

info() ->
    #{name => node(), version => <<"oracle">>,
      os_pid => list_to_integer(os:getpid()),
      uptime_ms => element(1, erlang:statistics(wall_clock)),
      connections => length(nodes(connected)),
      processes => length(processes()), messages_in => 1, messages_out => 1}.

loop() ->
    receive
        {'$gen_call', {Pid, _} = From, Req} when is_pid(Pid) ->
            gen_server:reply(From, {ok, Req}), loop();
        {exit, Reason} -> exit(Reason);
        {From, Msg} when is_pid(From) -> From ! {self(), Msg}, loop();
        _ -> loop()
    end.

sink(N, Bytes) ->
    receive
        {'$gen_call', From, count} ->
            gen_server:reply(From, {count, N, Bytes}), sink(N, Bytes);
        {'$gen_cast', reset} -> sink(0, 0);
        Msg -> sink(N + 1, Bytes + erlang:external_size(Msg))
    end.

mortal_keeper() ->
    process_flag(trap_exit, true),
    Pid = spawn_link(fun() -> process_flag(trap_exit, true),
                              register(mortal, self()), mortal(none) end),
    receive {'EXIT', Pid, _} -> mortal_keeper() end.

mortal(Asker) ->
    receive
        {exit, Reason} -> exit(Reason);
        {link, Pid} when Asker =:= none ->
            link(Pid), mortal({Pid, monitor(process, Pid)});
        {link, Pid} -> link(Pid), mortal(Asker);
        {unlink, Pid} -> unlink(Pid), mortal(Asker);
        {monitor, process, What} -> monitor(process, What), mortal(Asker);
        {spawn_link, Node, M, F, A} -> spawn_link(Node, M, F, A), mortal(Asker);
        {'DOWN', Ref, _, _, _} when Ref =:= element(2, Asker) -> mortal(none);
        Down when element(1, Down) =:= 'DOWN'; element(1, Down) =:= 'EXIT' ->
            Asker =/= none andalso (element(1, Asker) ! Down), mortal(Asker);
        _ -> mortal(Asker)
    end.
