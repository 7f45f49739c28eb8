%% SPDX-License-Identifier: Apache-2.0
%%
%% Group leaders and logs between Erlang and C (io_driver.c): remote code prints
%% on a terminal in C and reads from it, C prints on group leaders of Erlang, log
%% events go both ways. Elixir's IO and Logger where there is an elixir.
-module(io_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [prints, formats_as_here, many_print, requests, reads, reads_terms, options,
     a_reader_dies, c_prints, c_prints_on_nobody, events, crashes, c_logs,
     formats_of_c, global_names, full_node, elixir].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    Node = cnode_test:unique_node("io"),
    Beside = filename:dirname(os:getenv("NODE_DRIVER")),
    Port = open_port({spawn_executable, filename:join(Beside, "io_driver")},
                     [{args, [atom_to_list(Node), atom_to_list(node())]},
                      {line, 1000}, exit_status,
                      {env, [{"CNODE_COOKIE", cnode_test:cookie()}]}]),
    receive
        {Port, {data, {eol, "ready"}}} -> ok
    after ?WAIT -> ct:fail("not ready")
    end,
    [{node, Node}, {port, Port} | Config].

end_per_testcase(_, Config) ->
    ok = tell(Config, stop),
    Port = ?config(port, Config),
    receive {Port, {exit_status, Status}} -> 0 = Status
    after ?WAIT -> ct:fail("does not stop")
    end.

tell(Config, Command) ->
    Ref = make_ref(),
    {ctl, ?config(node, Config)} ! {self(), Ref, Command},
    receive
        {Ref, Answer} -> Answer
    after ?WAIT -> ct:fail({no_answer, Command})
    end.

%% Runs Fun with the terminal as its group leader; what it returned.
on_tty(Config, Fun) ->
    {Pid, Ref} = start_on_tty(Config, Fun),
    receive
        {Pid, Result} -> erlang:demonitor(Ref, [flush]), Result;
        {'DOWN', Ref, process, Pid, Reason} -> {down, Reason}
    after ?WAIT -> ct:fail(no_result)
    end.

start_on_tty(Config, Fun) ->
    Leader = tell(Config, leader),
    Self = self(),
    spawn_monitor(fun() ->
                          group_leader(Leader, self()),
                          Self ! {self(), Fun()}
                  end).

printed(Config, Fun) ->
    ok = on_tty(Config, Fun),
    tell(Config, output).

%% ---------------------------------------------------------------- output

prints(Config) ->
    <<"plain">> = printed(Config, fun() -> io:put_chars("plain") end),
    <<"é€\n"/utf8>> = printed(Config, fun() -> io:put_chars([233, 8364, $\n]) end),
    <<"\n">> = printed(Config, fun() -> io:nl() end),
    <<"é"/utf8>> = printed(Config, fun() ->
                                           file:write(group_leader(), <<233>>)
                                   end),
    {down, {badarg, _}} = on_tty(Config, fun() -> io:put_chars([x]) end),
    <<>> = tell(Config, output).

%% What comes out is what io_lib makes of it on this node.
formats_as_here(Config) ->
    Term = {self(), make_ref(), #{b => "text", a => [<<"é"/utf8>>, 1.5]},
            lists:seq(1, 60), fun lists:map/2, fun() -> Config end},
    [begin
         Want = unicode:characters_to_binary(io_lib:format(F, A)),
         ?assertEqual(Want, printed(Config, fun() -> io:format(F, A) end))
     end || {F, A} <- [{"~p~n", [Term]}, {"~tp~n~w", [Term, Term]},
                       {"~20s|~-8.3.xs|~ts", ["right", "left", "€"]},
                       {"~e ~.3f ~g ~b ~.16B ~c~n", [1.0, 2.5, 0.1, -7, 255, $x]},
                       {<<"~ts">>, ["binary"]}, {"no arguments", []}]],
    ?assertEqual(unicode:characters_to_binary(io_lib:write(Term)),
                 printed(Config, fun() -> io:write(Term) end)),
    ?assertMatch({down, {badarg, _}},
                 on_tty(Config, fun() -> apply(io, format, ["~p", []]) end)).

%% The output of each process is in order, though formats are made elsewhere.
many_print(Config) ->
    N = 20,
    Started = [start_on_tty(Config,
                            fun() ->
                                    [case I rem 2 of
                                         0 -> io:format("~p ~p~n", [P, I]);
                                         1 -> io:put_chars(io_lib:format("~p ~p~n", [P, I]))
                                     end || I <- lists:seq(1, N)],
                                    ok
                            end) || P <- lists:seq(1, 10)],
    [receive {Pid, ok} -> erlang:demonitor(Ref, [flush])
     after ?WAIT -> ct:fail(stuck)
     end || {Pid, Ref} <- Started],
    Lines = [[binary_to_integer(X) || X <- binary:split(L, <<" ">>)]
             || L <- binary:split(tell(Config, output), <<"\n">>,
                                  [global, trim])],
    [?assertEqual(lists:seq(1, N), [I || [Q, I] <- Lines, Q =:= P])
     || P <- lists:seq(1, 10)].

requests(Config) ->
    ok = on_tty(Config, fun() ->
                                io:requests([{put_chars, unicode, "a"},
                                             {put_chars, unicode, io_lib,
                                              format, ["~p", [b]]}, nl])
                        end),
    <<"ab\n">> = tell(Config, output),
    {error, _} = on_tty(Config, fun() ->
                                        io:requests([{put_chars, unicode, x},
                                                     nl])
                                end),
    <<>> = tell(Config, output),
    {error, request} = on_tty(Config, fun() -> request(nonsense) end),
    {error, request} = on_tty(Config, fun() -> request({requests, []}) end).

%% As it is on the wire.
request(Request) ->
    Ref = make_ref(),
    group_leader() ! {io_request, self(), Ref, Request},
    receive {io_reply, Ref, Reply} -> Reply end.

%% ----------------------------------------------------------------- input

wanted(Config, N) ->
    cnode_test:wait_until(fun() -> tell(Config, wants) >= N end).

result({Pid, Ref}) ->
    receive
        {Pid, Result} -> erlang:demonitor(Ref, [flush]), Result
    after ?WAIT -> ct:fail(no_result)
    end.

reads(Config) ->
    A = start_on_tty(Config, fun() -> io:get_line("name? ") end),
    wanted(Config, 1),
    <<"name? ">> = tell(Config, output),
    ok = tell(Config, {feed, <<"José\n4321"/utf8>>}),
    "José\n" = result(A),
    "43" = on_tty(Config, fun() -> io:get_chars('', 2) end),
    B = start_on_tty(Config, fun() -> io:get_line(<<"">>) end),
    wanted(Config, 2),
    ok = tell(Config, {feed, <<"\n">>}),
    <<"21\n">> = result(B),
    C = start_on_tty(Config, fun() -> io:get_line('') end),
    wanted(Config, 3),
    ok = tell(Config, eof),
    eof = result(C),
    %% io:get_password/0 of OTP 28 and later does not ask other nodes.
    D = start_on_tty(Config, fun() -> request({get_password, unicode}) end),
    wanted(Config, 4),
    ok = tell(Config, {feed, <<"secret\n">>}),
    "secret" = result(D).

%% Code of this node takes the lines apart.
reads_terms(Config) ->
    A = start_on_tty(Config, fun() -> io:read("> ") end),
    wanted(Config, 1),
    ok = tell(Config, {feed, <<"{a, \n">>}),
    wanted(Config, 2),
    ok = tell(Config, {feed, <<"[1, 2]}. \n">>}),
    {ok, {a, [1, 2]}} = result(A),
    ok = tell(Config, {feed, <<"17 x rest\n">>}),
    {ok, [17, "x"]} = on_tty(Config, fun() -> io:fread('', "~d ~s") end),
    " rest\n" = on_tty(Config, fun() -> io:get_line('') end),
    ok = tell(Config, eof),
    eof = on_tty(Config, fun() -> io:read('') end).

options(Config) ->
    {ok, 99} = on_tty(Config, fun() -> io:columns() end),
    {error, enotsup} = on_tty(Config, fun() -> io:rows() end),
    ok = on_tty(Config, fun() -> io:setopts([binary, {encoding, unicode}]) end),
    Opts = on_tty(Config, fun() -> io:getopts() end),
    true = proplists:get_value(binary, Opts),
    unicode = proplists:get_value(encoding, Opts),
    ok = tell(Config, {feed, <<"x\n">>}),
    <<"x\n">> = on_tty(Config, fun() -> io:get_line('') end),
    {error, enotsup} = on_tty(Config, fun() -> io:setopts([{nothing, 1}]) end).

%% Nobody types for a process that is gone.
a_reader_dies(Config) ->
    {Pid, Ref} = start_on_tty(Config, fun() -> io:get_line("first") end),
    wanted(Config, 1),
    B = start_on_tty(Config, fun() -> io:get_line("second") end),
    exit(Pid, kill),
    receive {'DOWN', Ref, process, Pid, killed} -> ok end,
    wanted(Config, 2),
    ok = tell(Config, {feed, <<"line\n">>}),
    "line\n" = result(B).

%% -------------------------------------------------------- C on Erlang's side

%% A group leader that keeps what it gets, made of the one of OTP.
replied() ->
    receive {replied, Status, Reply} -> {Status, Reply}
    after ?WAIT -> ct:fail(no_reply)
    end.

c_prints(Config) ->
    {ok, Io} = file:open(cnode_test:file("printed"),
                         [read, write, {encoding, utf8}]),
    ok = tell(Config, {put, Io, <<"é€\n"/utf8>>}),
    {ok, ok} = replied(),
    ok = tell(Config, {format, Io, <<"~ts ~p~n">>, [<<"ü"/utf8>>, {a, 1}]}),
    {ok, ok} = replied(),
    ok = tell(Config, {format, Io, <<"~p">>, []}),
    {'CN_EREMOTE', _} = replied(),
    {ok, 0} = file:position(Io, 0),
    ok = tell(Config, {request, Io, {get_line, unicode, ''}}),
    {ok, "é€\n"} = replied(),
    {ok, "ü {a,1}\n"} = {ok, io:get_line(Io, '')},
    ok = file:close(Io).

c_prints_on_nobody(Config) ->
    ok = tell(Config, {put, cnode_test:dead_pid(), <<"x">>}),
    {'CN_ENOPROC', []} = replied(),
    Silent = spawn(fun() -> receive {io_request, _, _, _} -> exit(enough) end end),
    ok = tell(Config, {put, Silent, <<"x">>}),
    {'CN_EEXITED', enough} = replied().

%% ------------------------------------------------------------------- logs

events(Config, N) ->
    events(Config, N, []).

events(_, N, Got) when length(Got) >= N ->
    Got;
events(Config, N, Got) ->
    receive after 10 -> ok end,
    events(Config, N, Got ++ tell(Config, events)).

%% Everything of logger, from a process that a terminal in C leads.
events(Config) ->
    ok = logger:set_primary_config(level, all),
    {Pid, ok} = on_tty(Config, fun() ->
                                       logger:error("~p is ~ts", [x, "€"]),
                                       logger:notice(<<"binary">>),
                                       logger:debug(#{what => disk, n => 1}),
                                       logger:warning([{a, 1}, {b, "two"}]),
                                       logger:info("at ~p", [here],
                                                   #{mfa => {m, f, 3},
                                                     line => 7}),
                                       {self(), ok}
                               end),
    [E1, E2, E3, E4, E5] = events(Config, 5),
    logger:set_primary_config(level, notice),
    {error, <<"x is €"/utf8>>, Pid, _, _, false} = E1,
    {notice, <<"binary">>, Pid, _, _, false} = E2,
    {debug, Report, Pid, _, _, true} = E3,
    ?assert(lists:member(Report, [<<"what: disk\nn: 1">>,
                                  <<"n: 1\nwhat: disk">>])),
    {warning, <<"a: 1\nb: two">>, Pid, _, _, true} = E4,
    {info, <<"at here">>, Pid, {m, f, 3}, 7, false} = E5.

%% The emulator tells of a crash, proc_lib of one of its processes.
crashes(Config) ->
    {down, {badarith, _}} = on_tty(Config, fun() -> 1 / zero() end),
    [{error, Text, _, _, _, false}] = events(Config, 1),
    {match, _} = re:run(Text, "^Error in process .* with exit value:\n.*badarith"),
    on_tty(Config, fun() ->
                           proc_lib:spawn(fun() -> exit(boom) end),
                           ok
                   end),
    [{error, Crash, _, _, _, true}] = events(Config, 1),
    {match, _} = re:run(Crash, "boom").

zero() -> binary_to_integer(<<"0">>).

%% A handler that passes on what it gets.
log(#{level := Level, msg := {Format, Args}, meta := Meta},
    #{config := #{to := To}}) when is_list(Args) ->
    To ! {logged, Level, unicode:characters_to_binary(io_lib:format(Format, Args)),
          Meta};
log(_, _) ->
    ok.

c_logs(Config) ->
    Node = ?config(node, Config),
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => all,
                                                config => #{to => self()}}),
    ok = logger:set_primary_config(level, all),
    Levels = [{0, error}, {1, warning}, {2, info}, {3, debug}],
    [ok = tell(Config, {log, N, <<"é ~p"/utf8>>}) || {N, _} <- Levels],
    [receive
         {logged, Level, <<"c: driver: é ~p"/utf8>>, Meta} ->
             #{pid := Pid, time := Time, gl := Gl} = Meta,
             Node = node(Pid),
             ?assert(abs(Time - erlang:system_time(microsecond)) < 60000000),
             ?assertEqual(node(), node(Gl))
     after ?WAIT -> ct:fail({not_logged, Level})
     end || {_, Level} <- Levels],
    logger:set_primary_config(level, notice),
    ok = logger:remove_handler(?MODULE).

%% The node that sends this one is in C and cannot format: the terminal can.
formats_of_c(Config) ->
    Leader = tell(Config, leader),
    ok = tell(Config, {format, Leader, <<"~p ~s ~w~n">>, [{a, 1}, "x", "y"]}),
    {ok, ok} = replied(),
    <<"{a,1} x [121]\n">> = tell(Config, output).

%% ------------------------------------------------- cnode global, serve --full

global(Args) ->
    {Status, Out, _} = told_global(Args),
    {Status, Out}.

told_global(Args) ->
    cnode_test:run(["global", atom_to_list(node()) | Args]).

global_names(_) ->
    {1, <<>>} = global([]),
    {1, <<>>} = global(["whereis", "shop"]),
    true = register(a_process, self()),
    {0, <<"shop #Pid<", _/binary>>} = global(["register", "shop", "a_process"]),
    Self = self(),
    Self = global:whereis_name(shop),
    {1, <<>>, Taken} = told_global(["register", "shop", "init"]),
    {match, _} = re:run(Taken, "somebody has the global name shop\n$"),
    {1, <<>>} = global(["register", "other", "no_process"]),
    {0, Line} = global(["--sync"]),
    [<<"shop">>, Pid] = binary:split(string:trim(Line), <<" ">>),
    %% A process has one name at most; nobody has this one.
    {1, <<>>, Twice} =
        told_global(["register", "{a, \"b\"}", binary_to_list(Pid)]),
    {match, _} = re:run(Twice, "not registered on .*\nhint: has this process a "
                        "global name already\\?\n$"),
    true = register(another, spawn_link(fun() -> receive stop -> ok end end)),
    {0, <<"{a,\"b\"} ", _/binary>> = Other} =
        global(["register", "{a, \"b\"}", "another"]),
    {0, Other} = global(["whereis", "{a, \"b\"}"]),
    {0, Json} = global(["whereis", "shop", "--json"]),
    Node = atom_to_binary(node()),
    %% The pid and the name are terms, as `cnode pg --json` has them.
    {0, PidJson, <<>>} = cnode_test:run(["call", binary_to_list(Node),
                                         "global:whereis_name", "[shop]",
                                         "--format", "json"]),
    ?assertEqual(<<"{\"name\":{\"a\":\"shop\"},\"node\":\"", Node/binary,
                   "\",\"pid\":", (string:trim(PidJson))/binary, "}\n">>,
                 Json),
    {0, <<"{\"name\":{\"t\":[{\"a\":\"a\"},[98]]},", _/binary>>} =
        global(["whereis", "{a, \"b\"}", "--json"]),
    %% Sorted as terms are.
    {0, Both} = global([]),
    ?assertMatch([<<"shop ", _/binary>>, <<"{a,\"b\"} ", _/binary>>, <<>>],
                 binary:split(Both, <<"\n">>, [global])),
    {0, <<>>} = global(["unregister", "shop"]),
    undefined = global:whereis_name(shop),
    {1, <<>>} = global(["unregister", "shop"]),
    {2, <<>>} = global(["find"]),
    {2, <<>>} = global(["whereis"]),
    {2, <<>>} = global(["register", "x", "1"]),
    another ! stop,
    unregister(a_process).

full_node(_) ->
    C = cnode_test:serve(#{args => ["--full", "--connect",
                                    atom_to_list(node())]}),
    #{node := Name} = C,
    %% Who dials knows it first.
    cnode_test:wait_until(fun() -> lists:member(Name, nodes()) end),
    {0, _} = sync_of(["--sync"]),
    true = lists:member(Name, gen_server:call(global_name_server, get_known,
                                              ?WAIT)),
    cnode_test:stop(C).

%% No names is status 1.
sync_of(Args) ->
    true = register(kept, spawn(fun() -> receive stop -> ok end end)),
    yes = global:register_name(kept, whereis(kept)),
    Result = global(Args),
    kept ! stop,
    Result.

%% ----------------------------------------------------------------- Elixir

elixir(Config) ->
    case os:find_executable("elixir") of
        false -> {skip, "no elixir here"};
        Elixir -> elixir(Config, Elixir)
    end.

elixir(Config, Elixir) ->
    Code = "leader = :erpc.call(:\"" ++ atom_to_list(node()) ++ "\", "
        ":io_SUITE, :leader_of, [:\"" ++ atom_to_list(?config(node, Config)) ++ "\"])\n"
        "Process.group_leader(self(), leader)\n"
        "require Logger\n"
        "IO.puts(\"héllo\")\n"
        "IO.inspect({:a, [1, 2], \"two\"})\n"
        "IO.write(:stdio, [\"a\", ?b, 8364])\n"
        "name = IO.gets(\"name? \")\n"
        "IO.puts(\"hi \" <> String.trim(name))\n"
        "Logger.error(\"from \" <> \"Logger\")\n"
        "Logger.flush()\n",
    Script = cnode_test:file(list_to_binary(Code), 8#600),
    ok = file:write_file(Script, unicode:characters_to_binary(Code)),
    ok = tell(Config, {feed, <<"José\n"/utf8>>}),
    Out = os:cmd(lists:concat([Elixir, " --name ",
                               cnode_test:unique_node("ex"), " --cookie ",
                               cnode_test:cookie(), " ", Script, " 2>&1"])),
    ct:log("~ts", [Out]),
    ?assertEqual(<<"héllo\n{:a, [1, 2], \"two\"}\nab€name? hi José\n"/utf8>>,
                 tell(Config, output)),
    ?assertMatch([{error, <<"from Logger">>, _, _, _, false} | _],
                 events(Config, 1)).

leader_of(Node) ->
    Ref = make_ref(),
    {ctl, Node} ! {self(), Ref, leader},
    receive {Ref, Leader} -> Leader end.
