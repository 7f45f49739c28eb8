%% SPDX-License-Identifier: Apache-2.0
%%
%% Machines of a suite's own: network namespaces
%%
%%     here 10.77.1.2 ---- 10.77.1.1 router 10.77.2.1 ---- 10.77.2.2 there
%%
%% each with the port mapper of Erlang, and a router that loses what it is told
%% to lose, without a word to anybody. They live as long as the process that
%% makes them.
-module(machines).

-include_lib("stdlib/include/assert.hrl").

-export([missing/0, make/0, namespace/0, inside/1, sh/2, kill/2, here/0, there/0]).
-export([lose/2, find/2, lose_all/1, find_all/1]).

-import(cnode_test, [wait_until/1]).

-define(HERE, "10.77.1.2").
-define(THERE, "10.77.2.2").

here() -> ?HERE.
there() -> ?THERE.

%% Why this cannot run, if it cannot.
missing() ->
    [Why || {false, Why} <-
                [{os:cmd("id -u") =:= "0\n",
                  "needs root to make network namespaces"},
                 {lists:all(fun(T) -> tool(T) =/= false end,
                            ["ip", "ss", "tc"]),
                  "needs ip, ss and tc (Debian: iproute2)"},
                 {os:cmd("unshare --net echo yes 2>&1") =:= "yes\n",
                  "the kernel forbids network namespaces here"},
                 {forwards(), "a network namespace cannot be a router here"}]].

forwards() ->
    Script = "echo 1 >/proc/sys/net/ipv4/ip_forward && "
        "ip link add name left type veth peer name right && "
        "ip route add blackhole 10.0.0.1/32 && "
        "tc qdisc add dev left root tbf rate 1mbit burst 20kb limit 60kb && "
        "echo yes",
    lists:suffix("yes\n",
                 os:cmd("PATH=" ++ path() ++ " unshare --net sh -c '" ++ Script
                        ++ "' 2>&1")).

tool(Name) ->
    os:find_executable(Name, path()).

%% Where the tools may be that the system lacks.
path() ->
    lists:append([D ++ ":" || D <- [os:getenv("NET_TOOLS", "")], D =/= ""])
        ++ os:getenv("PATH") ++ ":/usr/sbin:/sbin".

%% #{router, here, there, epmds}; the last ones are to be killed at the end.
make() ->
    [Router, Here, There] = Spaces = [namespace() || _ <- [1, 2, 3]],
    [sh(S, "ip link set lo up") || S <- Spaces],
    cable(Router, Here, "10.77.1", "here"),
    cable(Router, There, "10.77.2", "there"),
    sh(Router, "echo 1 >/proc/sys/net/ipv4/ip_forward"),
    #{router => Router, here => Here, there => There,
      epmds => [epmd(S) || S <- [Here, There]]}.

%% A namespace that lives as long as the process that asks for it: its number.
namespace() ->
    Port = open_port({spawn_executable, os:find_executable("unshare")},
                     [{args, ["--net", "cat"]}, binary]),
    Port ! {self(), {command, "x"}},
    receive {Port, {data, <<"x">>}} -> ok end,
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    Pid.

%% The command that runs another one there.
inside(Space) ->
    [os:find_executable("nsenter"), "-t", integer_to_list(Space), "--net",
     "--"].

%% Runs a shell command there, which must not fail.
sh(Space, Command) ->
    Result = os:cmd(lists:flatten(lists:join($\s, inside(Space)))
                    ++ " sh -c 'PATH=" ++ path() ++ "; (" ++ Command
                    ++ ") 2>&1 && echo OK'"),
    ?assertEqual({Command, true, Result},
                 {Command, lists:suffix("OK\n", Result), Result}).

cable(Router, Space, Net, Name) ->
    sh(Router, lists:concat(["ip link add name ", Name,
                             " type veth peer name eth0 netns ", Space])),
    sh(Router, ["ip addr add ", Net, ".1/24 dev ", Name, " && "
                "ip link set ", Name, " up"]),
    sh(Space, ["ip addr add ", Net, ".2/24 dev eth0 && "
               "ip link set eth0 up && ip route add default via ", Net, ".1"]).

epmd(Space) ->
    [Nsenter | Args] = inside(Space),
    Port = open_port({spawn_executable, Nsenter},
                     [{args, Args ++ [os:find_executable("epmd")]}]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    wait_until(fun() ->
                       R = os:cmd(lists:flatten(lists:join($\s, inside(Space)))
                                  ++ " epmd -names 2>&1"),
                       string:find(R, "up and running") =/= nomatch
               end),
    Pid.

kill(Signal, Pid) ->
    os:cmd(lists:concat(["kill -", Signal, " ", Pid])),
    ok.

%% --------------------------------------------------- what the router does

%% Loses all to that host that goes through it.
lose(#{router := Router}, To) ->
    sh(Router, lose_command(To)).

find(#{router := Router}, To) ->
    sh(Router, find_command(To)).

%% Both ways by one program, so that they begin, and end, at the same time.
lose_all(#{router := Router}) ->
    sh(Router, [lose_command(?HERE), " && ", lose_command(?THERE)]).

find_all(#{router := Router}) ->
    sh(Router, [find_command(?HERE), " && ", find_command(?THERE)]).

lose_command(To) ->
    ["ip route add blackhole ", To, "/32"].

find_command(To) ->
    ["ip route del blackhole ", To, "/32"].
