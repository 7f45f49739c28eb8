%% SPDX-License-Identifier: Apache-2.0
%%
%% What the suites share: the C node (`cnode serve`) and the other commands of
%% `cnode` as ports, peer Erlang nodes, unique names, and waiting for a
%% condition with a deadline. The program under test is $CNODE; EPMD is asked
%% at $ERL_EPMD_PORT, or at its usual port.
-module(cnode_test).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

%% suites
-export([init_suite/1, host/0, cookie/0, epmd_port/0, epmd_start/1,
         epmd_names/0, is_registered/1, await_unregistered/1, unique/1,
         unique_node/1, wait_until/1, wait_until/2, flush/0, expect/1,
         alive_process/1, dead_pid/0, file/2, file/1, free_port/0, parse/1,
         terms/0, rss/1]).
%% programs
-export([serve/1, launch/1, ready/1, stop/1, stop_all/0, kill9/1, status/1,
         running/1, stdout/1, stderr/1, signal/2, run/1, run/2, start/2]).
%% peer nodes
-export([with_peer/2, start_peer/1, stop_peer/1, freeze/1]).
%% called on peer nodes
-export([report/1, mailbox/1, received/1, talk/0, mumble/0, print_alone/1,
         forget/1]).

%% ---------------------------------------------------------------- suites

%% Makes this node a distributed one where the runner did not, and finds the
%% program. To be called by init_per_suite.
init_suite(Config) ->
    os:getenv("CNODE") =/= false orelse ct:fail("CNODE is not set"),
    filelib:is_regular(os:getenv("CNODE")) orelse ct:fail("no file $CNODE"),
    persistent_term:put({?MODULE, dir}, ?config(priv_dir, Config)),
    ensure_distributed(),
    Config.

ensure_distributed() when node() =:= nonode@nohost ->
    epmd_start([]),
    Name = list_to_atom(unique("ct") ++ "@127.0.0.1"),
    {ok, _} = net_kernel:start(Name, #{name_domain => longnames}),
    erlang:set_cookie(node(), list_to_atom(unique("cookie")));
ensure_distributed() ->
    ok.

%% Starts EPMD unless it runs already.
epmd_start(Options) ->
    Places = [filename:join([code:root_dir(),
                             "erts-" ++ erlang:system_info(version), "bin"]),
              filename:join(code:root_dir(), "bin")],
    Found = [P || D <- Places, P <- [os:find_executable("epmd", D)],
                  P =/= false] ++ [os:find_executable("epmd")],
    os:cmd(lists:join($\s, [hd(Found), "-daemon" | Options])),
    ok.

epmd_port() ->
    list_to_integer(os:getenv("ERL_EPMD_PORT", "4369")).

epmd_names() ->
    case erl_epmd:names({127, 0, 0, 1}) of
        {ok, Names} -> Names;
        {error, _} -> []
    end.

%% At EPMD.
is_registered(Node) ->
    [Short, _] = string:split(atom_to_list(Node), "@"),
    lists:keymember(Short, 1, epmd_names()).

%% EPMD has to notice that a node is gone; until then its name is taken.
await_unregistered(Node) ->
    wait_until(fun() -> not is_registered(Node) end).

%% The host part of every node name here.
host() ->
    [_, Host] = string:split(atom_to_list(node()), "@"),
    Host.

cookie() ->
    atom_to_list(erlang:get_cookie()).

unique(Prefix) ->
    lists:concat([Prefix, "_", this_run(), "_",
                  erlang:unique_integer([positive])]).

%% When this emulator was started. Its process id is no name: two that run at
%% once in namespaces of their own may have the same.
this_run() ->
    Start = erlang:system_info(start_time) + erlang:time_offset(),
    Ms = erlang:convert_time_unit(Start, native, millisecond),
    string:lowercase(integer_to_list(Ms rem (36 * 36 * 36 * 36 * 36 * 36), 36)).

unique_node(Prefix) ->
    list_to_atom(unique(Prefix) ++ "@" ++ host()).

%% Asks Fun until it says something else than false.
wait_until(Fun) ->
    wait_until(Fun, ?WAIT).

wait_until(Fun, Ms) ->
    wait_loop(Fun, erlang:monotonic_time(millisecond) + Ms).

wait_loop(Fun, Deadline) ->
    case Fun() of
        false ->
            erlang:monotonic_time(millisecond) < Deadline
                orelse error({timeout, Fun}),
            receive after 10 -> ok end,
            wait_loop(Fun, Deadline);
        Other ->
            Other
    end.

flush() ->
    receive M -> [M | flush()] after 0 -> [] end.

%% The next message, which must be Msg.
expect(Msg) ->
    receive M -> ?assertEqual(Msg, M) after ?WAIT -> error({missing, Msg}) end.

%% A process that does nothing until it is told {exit, Reason}.
alive_process(Options) ->
    erlang:spawn_opt(fun() -> receive {exit, R} -> exit(R) end end, Options).

dead_pid() ->
    {Pid, Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Ref, process, Pid, _} -> Pid end.

%% A file in the private folder of the run, with these bytes.
file(Bytes, Mode) ->
    Path = file("file"),
    ok = file:write_file(Path, Bytes),
    ok = file:change_mode(Path, Mode),
    Path.

file(Prefix) ->
    Dir = persistent_term:get({?MODULE, dir}),
    filename:absname(filename:join(Dir, unique(Prefix))).

%% Below the ports that the system gives out by itself, so that it gives it to
%% nobody before it is used.
free_port() ->
    Port = 22000 + rand:uniform(10000),
    case gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]) of
        {ok, L} -> gen_tcp:close(L), Port;
        {error, _} -> free_port()
    end.

%% An Erlang term from its text.
parse(Text) ->
    Chars = unicode:characters_to_list(Text),
    {ok, Tokens, _} = erl_scan:string(Chars ++ " ."),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

%% Resident memory of a program in kB, or undefined where there is no /proc.
rss(#{os_pid := OsPid}) ->
    Path = lists:concat(["/proc/", OsPid, "/status"]),
    case file:read_file(Path) of
        {ok, Text} ->
            {match, [Kb]} = re:run(Text, "VmRSS:\\s*([0-9]+)",
                                   [{capture, all_but_first, list}]),
            list_to_integer(Kb);
        {error, _} ->
            undefined
    end.

%% About two hundred terms, every type and every edge of the encodings.
terms() ->
    lists:append([integers(), floats(), atoms(), lists_(), tuples(),
                  binaries(), maps_(), identifiers(), funs(), nested(),
                  native_record()]).

integers() ->
    Edges = [0, 1, 127, 128, 255, 256, 65535, 65536, 1 bsl 27, 1 bsl 28,
             1 bsl 31, 1 bsl 32, 1 bsl 59, 1 bsl 60, 1 bsl 63, 1 bsl 64,
             1 bsl 128, 1 bsl 2032, 1 bsl 2039, 1 bsl 2040, 1 bsl 20000],
    lists:usort([S * (E + D) || E <- Edges, S <- [1, -1], D <- [-1, 0]]).

floats() ->
    [0.0, -0.0, 1.0, -1.5, 3.141592653589793, 1.0e300, 1.0e-300, 5.0e-324,
     1.7976931348623157e308, 123456789.125].

atoms() ->
    [a, '', 'with space', 'Elixir.Enum', true, false, nil, undefined,
     'O\'Brien', '\n', 'é', '€', '日本', '𝄞',
     list_to_atom(lists:duplicate(255, $x)),
     list_to_atom(lists:duplicate(255, 16#e9)),
     list_to_atom(lists:duplicate(255, 16#20ac))].

lists_() ->
    [[], "abc", [0], [255], [256], [-1], lists:seq(0, 255),
     lists:duplicate(65535, $a), lists:duplicate(65536, $a), [a | b],
     [1, 2 | 3], [[]], [[[]]], [[a], [b]], ["x" | <<"y">>], "日本",
     lists:seq(1, 5000)].

tuples() ->
    [{}, {a}, {a, b}, {1, {2, {3, {4}}}}, list_to_tuple(lists:seq(1, 255)),
     list_to_tuple(lists:seq(1, 256)), list_to_tuple(lists:seq(1, 5000)),
     {ok, [{error, #{}}]}].

binaries() ->
    [<<>>, <<0>>, <<"hello">>, <<"日本"/utf8>>, <<1:1>>, <<5:3>>, <<1, 2:4>>,
     <<255, 127:7>>, <<0:65536>>, binary:copy(<<"abcdefgh">>, 12500),
     << <<N>> || N <- lists:seq(0, 255) >>, <<1:99999>>].

maps_() ->
    [#{}, #{a => 1}, #{1 => a, 1.0 => b}, #{a => [], "b" => #{}, <<"c">> => {}},
     #{{1, 2} => [3], [4] => {5}, #{} => #{#{} => 6}}, #{[] => [], {} => {}},
     maps:from_list([{N, N * N} || N <- lists:seq(1, 32)]),
     maps:from_list([{N, N * N} || N <- lists:seq(1, 33)]),
     maps:from_list([{{k, N}, integer_to_binary(N)} || N <- lists:seq(1, 999)]),
     #{'__struct__' => 'Elixir.Date', year => 2024, month => 2}].

%% References of one to five words, 32-bit pids, 64-bit ports, other nodes,
%% an older incarnation of this one: all of them have to come back as they are.
identifiers() ->
    Far = [binary_to_term(<<131, 88, 119, 5, "x@y.z", I:32, S:32, C:32>>)
           || {I, S, C} <- [{1, 0, 4}, {16#ffffffff, 16#ffffffff, 16#ffffffff},
                            {16#7fff, 16#1fff, 16#12345678}]],
    Ports = [binary_to_term(<<131, 120, 119, 5, "x@y.z", I:64, C:32>>)
             || {I, C} <- [{1, 4}, {1 bsl 40, 16#ffffffff}]],
    Refs = [binary_to_term(<<131, 90, N:16, 119, 5, "x@y.z", 77:32, 5:32,
                             (binary:copy(<<222, 173, 190, 239>>, N - 1))/binary>>)
            || N <- [1, 2, 3, 4, 5]],
    Old = binary_to_term(<<131, 88, 118, (iolist_size(atom_to_list(node()))):16,
                           (atom_to_binary(node()))/binary, 9:32, 0:32, 999:32>>),
    Alias = alias(),
    unalias(Alias),
    [self(), whereis(init), make_ref(), Alias, hd(erlang:ports()), Old]
        ++ Far ++ Ports ++ Refs.

funs() ->
    X = {self(), <<"free">>, 1 bsl 70},
    [fun lists:map/2, fun erlang:self/0, fun no_such:function/255,
     fun() -> ok end, fun(Y) -> {X, Y} end, fun(A, B) -> [A, B | X] end].

nested() ->
    [lists:foldl(fun(_, T) -> [T] end, [], lists:seq(1, 1000)),
     lists:foldl(fun(_, T) -> {T} end, end_, lists:seq(1, 1000)),
     lists:foldl(fun(N, T) -> #{N => T} end, #{}, lists:seq(1, 200))].

%% OTP 29 has one more type; older releases cannot decode it.
native_record() ->
    try [binary_to_term(<<131, 67, 2:32, 1, 119, 1, "m", 119, 1, "r",
                          119, 1, "z", 119, 1, "a", 97, 1, 97, 2>>)]
    catch error:badarg -> []
    end.

%% -------------------------------------------------------------- programs

%% `cnode serve` that is ready. Opts: name, visible, args, env, global (options
%% before the command word).
serve(Opts) ->
    ready(launch(Opts)).

%% The same without waiting for it to be ready. It always gets --stdin-eof, so
%% that it ends with this Erlang node in any case.
launch(Opts) ->
    Node = maps:get(name, Opts, unique_node("cn")),
    Visible = ["--visible" || maps:get(visible, Opts, false)],
    Args = ["--name", atom_to_list(Node), "--stdin-eof"] ++ Visible ++
        maps:get(args, Opts, []),
    Global = maps:get(global, Opts, []),
    Prog = start(Global ++ ["serve" | patience(Global ++ Args)] ++ Args,
                 maps:merge(#{stdin => port}, Opts)),
    Prog#{node => Node}.

ready(Prog) ->
    wait_until(fun() ->
                       string:find(stdout(Prog), "\n") =/= nomatch
                           orelse not running(Prog)
               end),
    Line = stdout(Prog),
    Node = atom_to_list(maps:get(node, Prog)),
    case string:lexemes(Line, " \n") of
        [<<"CNODE">>, <<"READY">>, Name, Port] ->
            ?assertEqual(list_to_binary(Node), Name),
            Prog#{port => binary_to_integer(Port)};
        _ ->
            ct:fail("not ready: ~ts~n~ts", [Line, stderr(Prog)])
    end.

%% SIGTERM must end it with status 0, with nothing on stdout but the one line.
stop(Prog) ->
    signal(Prog, "TERM"),
    Status = status(Prog),
    ct:log("stderr of ~p:~n~ts", [maps:get(node, Prog), stderr(Prog)]),
    no_secret(#{}, {Status, stdout(Prog), stderr(Prog)}),
    ?assertEqual(0, Status),
    ?assertMatch([_, <<>>], string:split(stdout(Prog), "\n", all)).

kill9(Prog) ->
    signal(Prog, "KILL"),
    status(Prog).

%% Ends what a failed test case left behind.
stop_all() ->
    [catch kill9(P) || {_, P} <- running_programs()],
    ok.

running_programs() ->
    [{Pid, #{pid => Pid, os_pid => Os}}
     || Pid <- processes(),
        {dictionary, D} <- [process_info(Pid, dictionary)],
        {?MODULE, Os} <- D].

signal(#{os_pid := OsPid} = Prog, Signal) ->
    running(Prog) andalso
        os:cmd(lists:concat(["kill -", Signal, " ", OsPid])),
    ok.

running(Prog) ->
    ask(Prog, status) =:= running.

%% The exit status, once it ended.
status(Prog) ->
    wait_until(fun() -> not running(Prog) end),
    ask(Prog, status).

stdout(Prog) ->
    ask(Prog, stdout).

stderr(#{stderr := File}) ->
    {ok, Bytes} = file:read_file(File),
    Bytes.

%% Runs a command to its end: {Status, Stdout, Stderr}. Opts: cookie (false for
%% none in the environment), env, stdin (bytes), fd3 (bytes).
run(Args) ->
    run(Args, #{}).

run(Args0, Opts) ->
    Args = patient(Args0),
    Prog = start(Args, Opts),
    try status(Prog) of
        Status ->
            Result = {Status, stdout(Prog), stderr(Prog)},
            ct:log("cnode ~tp~n~tp", [Args, Result]),
            no_secret(Opts, Result),
            Result
    catch error:{timeout, _} ->
            Err = stderr(Prog),
            kill9(Prog),
            ct:fail("cnode ~tp hangs: ~ts", [Args, Err])
    after
        forget(Prog)
    end.

%% What asks another node has more time for it than it takes by itself.
patient([Command | More])
  when Command =:= "ping"; Command =:= "call"; Command =:= "cast";
       Command =:= "send"; Command =:= "names"; Command =:= "global";
       Command =:= "pg"; Command =:= "serve" ->
    [Command | patience(More)] ++ More;
patient(Args) ->
    Args.

patience(Args) ->
    case [A || "--timeout" ++ _ = A <- Args] of
        [] -> ["--timeout", integer_to_list(?WAIT div 2000)];
        _ -> []
    end.

%% Nothing that the command writes may hold the cookie.
no_secret(Opts, {_, Out, Err}) ->
    Secrets = [cookie() | [C || #{cookie := C} <- [Opts], is_list(C)]],
    [?assertEqual({nomatch, S}, {string:find(T, S), S})
     || S <- Secrets, T <- [Out, Err]].

start(Args, Opts) ->
    Err = file("stderr"),
    In = case Opts of
             #{stdin := port} -> port;
             #{stdin := Bytes} -> file(Bytes, 8#600);
             _ -> "/dev/null"
         end,
    Fd3 = case Opts of #{fd3 := F} -> file(F, 8#600); _ -> false end,
    Script = lists:append(["exec ", maps:get(wrap, Opts, ""), "\"$@\"",
                           " 2>\"$CT_STDERR\"",
                           case In of port -> ""; _ -> " <\"$CT_STDIN\"" end,
                           case Fd3 of false -> ""; _ -> " 3<\"$CT_FD3\"" end]),
    Env = [{"CT_STDERR", Err}, {"CNODE_COOKIE", env_cookie(Opts)},
           {"HOME", maps:get(home, Opts, "/nonexistent")},
           {"XDG_CONFIG_HOME", maps:get(config, Opts, false)},
           %% What a sanitized program has freed must not count as its memory.
           {"ASAN_OPTIONS", "quarantine_size_mb=1"}]
        ++ [{"CT_STDIN", In} || is_list(In)]
        ++ [{"CT_FD3", Fd3} || is_list(Fd3)] ++ maps:get(env, Opts, []),
    own_port(["-c", Script, "sh", os:getenv("CNODE") | Args], Env,
             #{stderr => Err}).

env_cookie(Opts) ->
    maps:get(cookie, Opts, cookie()).

%% A port belongs to a process, and test cases come and go: each gets its own.
own_port(Args, Env, Prog) ->
    Me = self(),
    Pid = spawn(fun() ->
                        P = open_port({spawn_executable, "/bin/sh"},
                                      [{args, Args}, {env, Env}, binary,
                                       exit_status, use_stdio, stream]),
                        Os = os_pid(P),
                        put(?MODULE, Os),
                        Me ! {self(), Os},
                        port_loop(P, <<>>, running)
                end),
    receive {Pid, OsPid} -> Prog#{pid => Pid, os_pid => OsPid} end.

%% A port is closed when its program has ended, which may be by now.
os_pid(Port) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, Os} -> Os;
        undefined -> ended
    end.

port_loop(Port, Out, Status) ->
    receive
        {Port, {data, Bytes}} ->
            port_loop(Port, <<Out/binary, Bytes/binary>>, Status);
        {Port, {exit_status, S}} ->
            erase(?MODULE),
            port_loop(Port, Out, S);
        {From, Ref, status} ->
            From ! {Ref, Status},
            port_loop(Port, Out, Status);
        {From, Ref, stdout} ->
            From ! {Ref, Out},
            port_loop(Port, Out, Status);
        forget ->
            ok
    end.

ask(#{pid := Pid}, What) ->
    Ref = monitor(process, Pid),
    Pid ! {self(), Ref, What},
    receive
        {Ref, Answer} -> demonitor(Ref, [flush]), Answer;
        {'DOWN', Ref, _, _, Reason} -> error({program_process, Reason})
    end.

forget(#{pid := Pid}) ->
    Pid ! forget.

%% ------------------------------------------------------------ peer nodes

%% Stops a program of that process id, whatever it does. A signal takes its
%% time: all threads have to have stopped.
freeze(OsPid) ->
    os:cmd("kill -STOP " ++ OsPid),
    wait_until(fun() ->
                       lists:all(fun is_frozen/1,
                                 filelib:wildcard("/proc/" ++ OsPid
                                                  ++ "/task/*/stat"))
               end).

is_frozen(Stat) ->
    case file:read_file(Stat) of
        {ok, Text} -> re:run(Text, "\\) T ") =/= nomatch;
        {error, _} -> true % the thread has ended
    end.

%% Runs Fun(Peer, Node) with a node of this release. Opts: name (atom), cookie,
%% args, shortnames.
with_peer(Opts, Fun) ->
    {Peer, Node} = start_peer(Opts),
    try Fun(Peer, Node) after stop_peer(Peer) end.

%% A name that is given may be that of one that has just ended.
start_peer(Opts) ->
    Node = maps:get(name, Opts, unique_node("peer")),
    await_unregistered(Node),
    [Name, Host] = string:split(atom_to_list(Node), "@"),
    Args = ["-setcookie", maps:get(cookie, Opts, cookie()),
            "-pa", filename:absname(filename:dirname(code:which(?MODULE)))],
    {ok, Peer, Node} =
        peer:start(#{name => Name, host => Host, connection => standard_io,
                     longnames => lists:member($., Host),
                     wait_boot => ?WAIT,
                     args => Args ++ maps:get(args, Opts, [])}),
    {Peer, Node}.

stop_peer(Peer) ->
    catch peer:stop(Peer),
    ok.

%% For {spawn_link, Node, cnode_test, report, [Pid]}: says that it runs, tries
%% its group leader, and obeys {exit, Reason}.
report(To) ->
    To ! {self(), started},
    Printed = (catch io:put_chars("hello")),
    To ! {self(), printed, Printed},
    receive {exit, Reason} -> exit(Reason) end.

%% A registered process that keeps what it gets.
mailbox(Name) ->
    Me = self(),
    Pid = spawn(fun() ->
                        register(Name, self()),
                        Me ! {self(), up},
                        keep([])
                end),
    receive {Pid, up} -> Pid end.

keep(Got) ->
    receive
        {'$received', From, Ref} -> From ! {Ref, lists:reverse(Got)}, keep(Got);
        Msg -> keep([Msg | Got])
    end.

received(Name) ->
    Ref = make_ref(),
    Name ! {'$received', self(), Ref},
    receive {Ref, Got} -> Got after ?WAIT -> error(timeout) end.

%% Everything by which a process prints, in this order.
talk() ->
    io:put_chars("one\n"),
    io:format("~s ~w~n", ["two", 2]),
    io:put_chars([<<"three ">>, 16#20ac, $\n]),
    io:nl(),
    io:write({four, "4"}),
    io:put_chars(group_leader(), <<"\nfive\n">>),
    done.

%% Prints for ever.
mumble() ->
    io:put_chars("so\n"),
    mumble().

%% Prints once no other node is connected, and keeps what came of it.
print_alone(Key) ->
    wait_until(fun() -> nodes(connected) =:= [] end),
    application:set_env(kernel, Key, catch io:format("printed~n")).
