%% SPDX-License-Identifier: Apache-2.0
%%
%% A cluster of Erlang nodes and C nodes (node_driver.c), which the node of the
%% suite is no part of: it commands them through their stdin. A node is {erl,
%% Peer, Node} or {c, Driver, Node}, and what can be asked of either kind is
%% asked the same way. The process that starts them calls stop/0 at the end.
-module(cluster).

-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

%% nodes
-export([erl/1, erl/2, c/1, c/2, start/1, restart/1, stop/0, name/1, call/4,
         each/2]).
%% what they are to each other
-export([connect/2, mesh/1, known/1, connected/1, await_cluster/1, await/1,
         await/2, sync/1, sync_all/1]).
%% processes and names
-export([proc/2, register_c/4, whereis_name/2, await_name/3]).
%% what an Erlang node is told, and logs
-export([recorded/1, downs/1, none_lost/1]).
%% called on Erlang nodes
-export([start_recorder/0, tell_recorded/0, log/2]).

-import(cnode_test, [wait_until/1, wait_until/2]).
-import(node_driver, [tell/2, tell/3]).

%% ------------------------------------------------------------------- nodes

%% Opts: args; host; node, its whole name; wrap, a program with arguments to run
%% it by; for an Erlang node root, the folder of another release.
erl(Prefix) ->
    erl(Prefix, #{}).

erl(Prefix, Opts) ->
    hd(start([{erl, Prefix, Opts}])).

%% A full node, unless args are given.
c(Prefix) ->
    c(Prefix, #{}).

c(Prefix, Opts) ->
    hd(start([{c, Prefix, Opts}])).

%% Several, side by side.
start(Specs) ->
    [keep(N) || N <- each(fun({erl, Prefix, Opts}) ->
                                  start_erl(unique(Prefix, Opts), Opts);
                             ({c, Prefix, Opts}) ->
                                  start_c(unique(Prefix, Opts), Opts)
                          end, Specs)].

%% Full nodes under the names of some that have ended, as soon as these are free.
restart(Nodes) ->
    [cnode_test:await_unregistered(name(N)) || N <- Nodes],
    [keep(N) || N <- each(fun({c, _, Node}) -> start_c(Node, #{}) end, Nodes)].

keep({erl, Peer, Node} = N) -> put({?MODULE, Node}, {erl, Peer}), N;
keep({c, Driver, Node} = N) -> put({?MODULE, Node}, {c, Driver}), N.

stop() ->
    [catch cnode_test:kill9(D) || {{?MODULE, _}, {c, D}} <- get()],
    [cnode_test:stop_peer(P) || {{?MODULE, _}, {erl, P}} <- get()],
    ok.

unique(_, #{node := Node}) ->
    Node;
unique(Prefix, Opts) ->
    Host = maps:get(host, Opts, cnode_test:host()),
    list_to_atom(cnode_test:unique(Prefix) ++ "@" ++ Host).

start_c(Node, Opts) ->
    {c, node_driver:start(#{name => Node, wrap => maps:get(wrap, Opts, []),
                            args => maps:get(args, Opts, ["--full"])}), Node}.

start_erl(Node, Opts) ->
    [Name, Host] = string:split(atom_to_list(Node), "@"),
    [Program | Args] = maps:get(wrap, Opts, []) ++ erl_of(Opts),
    {ok, Peer, Node} =
        peer:start(#{name => Name, host => Host, longnames => true,
                     connection => standard_io, wait_boot => ?WAIT,
                     exec => {Program, Args},
                     args => ["-setcookie", cnode_test:cookie(), "-pa",
                              filename:dirname(code:which(?MODULE))
                              | maps:get(args, Opts, [])]}),
    load(Peer),
    ok = peer:call(Peer, ?MODULE, start_recorder, [], ?WAIT),
    {erl, Peer, Node}.

erl_of(#{root := Root}) ->
    [os:getenv("IN_ROOT"), Root,
     "ERL_EPMD_PORT=" ++ integer_to_list(cnode_test:epmd_port()), "erl"];
erl_of(_) ->
    [filename:join([code:root_dir(), "bin", "erl"])].

%% Another release does not see the files of this one.
load(Peer) ->
    File = code:which(?MODULE),
    {ok, Code} = file:read_file(File),
    {module, ?MODULE} = peer:call(Peer, code, load_binary,
                                  [?MODULE, File, Code], ?WAIT).

name({_, _, Node}) ->
    Node.

call({erl, Peer, _}, M, F, A) ->
    peer:call(Peer, M, F, A, ?WAIT).

%% Fun of each, side by side.
each(Fun, List) ->
    Runs = [spawn_monitor(fun() -> exit({done, Fun(X)}) end) || X <- List],
    [receive
         {'DOWN', Ref, process, Pid, {done, Result}} -> Result;
         {'DOWN', Ref, process, Pid, Reason} -> exit(Reason)
     end || {Pid, Ref} <- Runs].

%% --------------------------------------------- what they are to each other

connect({c, D, _}, To) ->
    ?assertEqual(up, tell(D, {connect, name(To)}));
connect({erl, _, _} = From, To) ->
    ?assertEqual(true, call(From, net_kernel, connect_node, [name(To)])).

known({c, D, _}) ->
    lists:sort(tell(D, global_nodes));
known(E) ->
    lists:sort(call(E, gen_server, call, [global_name_server, get_known])).

connected({c, D, _}) ->
    lists:sort(tell(D, peers));
connected(E) ->
    lists:sort(call(E, erlang, nodes, [])).

%% Each is connected to the first, and so with all.
mesh([First | Others]) ->
    [connect(N, First) || N <- Others],
    await([First | Others]).

%% Until each of these knows exactly the others, and is connected to them.
await(Members) ->
    await(Members, ?WAIT).

await(Members, Ms) ->
    await(Members, Ms, fun(Others, Them) -> Others -- Them =:= [] end).

%% The same, and they are connected to nobody else.
await_cluster(Members) ->
    await(Members, ?WAIT, fun(Others, Them) -> Others =:= Them end).

await(Members, Ms, Fits) ->
    Names = lists:sort([name(N) || N <- Members]),
    Together = fun(N) ->
                       Others = lists:delete(name(N), Names),
                       known(N) =:= Others andalso Fits(Others, connected(N))
               end,
    try wait_until(fun() -> lists:all(Together, Members) end, Ms)
    catch error:{timeout, _} ->
            [ct:log("~p has lost ~p~nand says ~ts",
                    [name(N), downs(N), said(N)]) || N <- Members],
            ct:fail("{node, not known, known, not connected}: ~p",
                    [[{name(N), (Names -- known(N)) -- [name(N)],
                       known(N) -- Names, (Names -- connected(N)) -- [name(N)]}
                      || N <- Members]])
    end.

said({c, D, _}) ->
    cnode_test:stderr(D);
said(E) ->
    io_lib:format("~p", [[L || {{log, _, _}, _} = L <- recorded(E)]]).

sync({c, D, _}) ->
    ?assertEqual(ok, tell(D, {global_sync, ?WAIT}, 2 * ?WAIT));
sync({erl, Peer, _} = E) ->
    try ?assertEqual(ok, peer:call(Peer, global, sync, [], ?WAIT))
    catch exit:{timeout, _} ->
            ct:fail("~p does not sync: ~p~n~p",
                    [name(E), call(E, erlang, nodes, []),
                     call(E, global, info, [])])
    end.

sync_all(Nodes) ->
    each(fun(N) -> sync(N) end, Nodes).

%% ----------------------------------------------------- processes and names

%% A process that lives until it is killed: its pid.
proc({c, D, _}, Group) ->
    [Pid] = tell(D, {spawn, Group, 1, trap}),
    Pid;
proc(E, _) ->
    call(E, erlang, spawn, [timer, sleep, [infinity]]).

register_c({c, D, _}, Group, Name, Opts) ->
    tell(D, {global_register, Group, Name, Opts}).

whereis_name({c, D, _}, Name) ->
    tell(D, {global_whereis, Name});
whereis_name(E, Name) ->
    call(E, global, whereis_name, [Name]).

%% Until all see this pid (or undefined) under the name.
await_name(Nodes, Name, Pid) ->
    try wait_until(fun() ->
                           lists:all(fun(N) ->
                                             whereis_name(N, Name) =:= Pid
                                     end, Nodes)
                   end)
    catch error:{timeout, _} ->
            ct:fail("~p of ~p: ~p",
                    [Name, Pid, [{name(N), whereis_name(N, Name)}
                                 || N <- Nodes]])
    end.

%% ------------------------------------- what an Erlang node is told, and logs

%% On the node itself: keeps all it is told of others, and notices and worse.
start_recorder() ->
    Me = self(),
    Pid = spawn(fun() ->
                        register(?MODULE, self()),
                        ok = net_kernel:monitor_nodes(
                               true, [nodedown_reason, {node_type, all}]),
                        Me ! {self(), up},
                        record([])
                end),
    receive {Pid, up} -> ok end,
    logger:add_handler(?MODULE, ?MODULE, #{level => notice}).

record(Seen) ->
    receive
        {recorded, From} -> From ! {recorded, lists:reverse(Seen)},
                            record(Seen);
        M -> record([{M, erlang:system_time(millisecond)} | Seen])
    end.

%% A handler of the logger.
log(#{level := Level, msg := Msg}, _) ->
    ?MODULE ! {log, Level, Msg}.

tell_recorded() ->
    ?MODULE ! {recorded, self()},
    receive {recorded, Seen} -> Seen end.

%% [{Message, Ms}]; of the log {log, Level, What}.
recorded(E) ->
    call(E, ?MODULE, tell_recorded, []).

%% {Node, Reason, Ms} of those it has lost.
downs({c, D, _}) ->
    [{Node, Text, Ago}
     || {down, Node, _, _, _, Text, Ago} <- node_driver:events(D)];
downs(E) ->
    [{Node, proplists:get_value(nodedown_reason, Info), At}
     || {{nodedown, Node, Info}, At} <- recorded(E)].

%% No Erlang node has lost another one.
none_lost(Es) ->
    Names = [name(E) || E <- Es],
    ?assertEqual([], [{name(E), Down}
                      || E <- Es, {Node, _, _} = Down <- downs(E),
                         lists:member(Node, Names)]).
