%% SPDX-License-Identifier: Apache-2.0
%%
%% OTP's behaviours: their callers against servers in C (rpc_driver.c), and C as
%% a caller of theirs.
-module(gen_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1, flush/0]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [call_forms, tags, from_thread, refused, server_ends, multi_call,
     request_collections, statem, events, event_managers_state, get_state,
     get_status, suspend_resume, terminate, stop, unknown_system, no_system,
     unknown_call, services_answer,
     c_calls, c_calls_forms, c_multi_call, c_global, c_global_cast, c_sys,
     c_events, elixir, elixir_visible, elixir_full, elixir_readme].

init_per_suite(Config) ->
    Config1 = cnode_test:init_suite(Config),
    [{driver, rpc_driver:start()} | Config1].

end_per_suite(Config) ->
    rpc_driver:stop(?config(driver, Config)),
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

end_per_testcase(_, Config) ->
    ?assertEqual(there, gen_server:call(gen(Config), {echo, there}, ?WAIT)),
    flush().

c(Config) ->
    maps:get(node, ?config(driver, Config)).

gen(Config) ->
    {gen, c(Config)}.

ask(Config, Command) ->
    rpc_driver:ask(?config(driver, Config), Command).

%% sys:get_state; servers of OTP 25 answer it in another form than later, and
%% one in C cannot know who asks.
state(Server) ->
    case {sys:get_state(Server, ?WAIT), erlang:system_info(otp_release)} of
        {{ok, State}, "25"} -> State;
        {State, Release} when Release > "25" -> State
    end.

%% A fresh state.
restart(Config) ->
    ?assertExit({again, _}, gen_server:call(gen(Config), {stop, again}, ?WAIT)),
    wait_until(fun() -> [] =:= (catch state(gen(Config))) end).

%% ------------------------------------------------------------------- calls

call_forms(Config) ->
    Gen = gen(Config),
    Pid = erpc:call(c(Config), erlang, whereis, [gen]),
    [?assertEqual({x, 1}, gen_server:call(To, {echo, {x, 1}}, ?WAIT))
     || To <- [Gen, Pid]],
    ?assertEqual(x, gen_server:call(Gen, {echo, x}, infinity)),
    Req = gen_server:send_request(Gen, {echo, x}),
    ?assertEqual({reply, x}, gen_server:wait_response(Req, ?WAIT)),
    ?assertEqual(ok, gen_server:cast(Gen, x)),
    ?assertEqual(abcast, gen_server:abcast([c(Config)], gen, x)).

%% Every form of From that OTP 25 to 29 makes, and some that nobody does.
tags(Config) ->
    Gen = gen(Config),
    R = make_ref(),
    [begin
         Gen ! {'$gen_call', {self(), Tag}, {echo, x}},
         receive {Tag, x} -> ok after ?WAIT -> error({missing, Tag}) end
     end || Tag <- [R, {R, node()}, 17, {a, "list", [tag]}, [R | x]]],
    A = alias(),
    [begin
         Gen ! {'$gen_call', {self(), Tag}, {echo, x}},
         receive {Tag, x} -> ok after ?WAIT -> error({missing, Tag}) end
     end || Tag <- [[alias | A], [[alias | A] | R], [[alias | A]]]],
    unalias(A),
    Gen ! {'$gen_call', {self(), [alias | A]}, {echo, late}},
    ?assertEqual(x, gen_server:call(Gen, {echo, x}, ?WAIT)),
    ?assertEqual([], flush()).

from_thread(Config) ->
    Reqs = [{I, gen_server:send_request(gen(Config), {thread, I})}
            || I <- lists:seq(1, 100)],
    [?assertEqual({reply, {thread, I}}, gen_server:receive_response(R, ?WAIT))
     || {I, R} <- Reqs],
    [catch gen_server:call(gen(Config), {thread, I}, 0)
     || I <- lists:seq(1, 50)],
    ?assertEqual(x, gen_server:call(gen(Config), {echo, x}, ?WAIT)),
    ?assertEqual([], flush()).

refused(Config) ->
    Pid = erpc:call(c(Config), erlang, whereis, [gen]),
    ?assertExit({{unknown, what}, {gen_server, call, _}},
                gen_server:call(gen(Config), what, infinity)),
    Req = gen_server:send_request(Pid, what),
    ?assertMatch({error, {{unknown, what}, _}},
                 gen_server:receive_response(Req, ?WAIT)),
    ?assertEqual(Pid, erpc:call(c(Config), erlang, whereis, [gen])).

server_ends(Config) ->
    ?assertExit({{because, 1}, _},
                gen_server:call(gen(Config), {stop, {because, 1}}, ?WAIT)),
    wait_until(fun() -> x =:= (catch gen_server:call(gen(Config), {echo, x},
                                                     ?WAIT))
               end).

multi_call(Config) ->
    C = c(Config),
    None = cnode_test:unique_node("none"),
    ?assertEqual({[{C, x}], [None]},
                 gen_server:multi_call([C, None], gen, {echo, x}, ?WAIT)),
    ?assertEqual({[{C, {thread, x}}], []},
                 gen_server:multi_call([C], gen, {thread, x}, ?WAIT)),
    %% OTP 25 asks without a monitor that could be told, later ones with it
    case gen_server:multi_call([C], gen, what, ?WAIT) of
        {[], [C]} -> ok;
        {[{C, {error, {unknown, what}}}], []} -> ok
    end,
    ?assertEqual([], flush()).

request_collections(Config) ->
    Reqs = lists:foldl(fun(I, Acc) ->
                               gen_server:send_request(gen(Config), {echo, I},
                                                       I, Acc)
                       end, gen_server:reqids_new(), lists:seq(1, 20)),
    collect(Reqs, lists:seq(1, 20)),
    Req = gen_server:send_request(gen(Config), {echo, x}),
    receive M ->
            ?assertEqual({reply, x}, gen_server:check_response(M, Req))
    end.

collect(Reqs, []) ->
    ?assertEqual(no_request, gen_server:receive_response(Reqs, 0, true));
collect(Reqs, Left) ->
    {{reply, I}, I, Rest} = gen_server:receive_response(Reqs, ?WAIT, true),
    collect(Rest, lists:delete(I, Left)).

statem(Config) ->
    Gen = gen(Config),
    ?assertEqual(x, gen_statem:call(Gen, {echo, x})),
    ?assertEqual(x, gen_statem:call(Gen, {echo, x}, {clean_timeout, ?WAIT})),
    ?assertEqual(x, gen_statem:call(Gen, {echo, x}, {dirty_timeout, ?WAIT})),
    ?assertEqual(ok, gen_statem:cast(Gen, x)),
    Req = gen_statem:send_request(Gen, {echo, x}),
    ?assertEqual({reply, x}, gen_statem:receive_response(Req, ?WAIT)),
    ?assertExit({{unknown, y}, _}, gen_statem:call(Gen, y)).

%% ------------------------------------------------------------------ events

events(Config) ->
    Gen = gen(Config),
    restart(Config),
    ?assertEqual(ok, gen_event:notify(Gen, one)),
    ?assertEqual(ok, gen_event:sync_notify(Gen, {two, 2})),
    ?assertEqual([one, {two, 2}], state(Gen)),
    ?assertEqual([gen], gen_event:which_handlers(Gen)),
    ?assertEqual(x, gen_event:call(Gen, gen, {echo, x})),
    ?assertEqual({thread, x}, gen_event:call(Gen, gen, {thread, x}, ?WAIT)),
    Req = gen_event:send_request(Gen, gen, {echo, x}),
    ?assertEqual({reply, x}, gen_event:receive_response(Req, ?WAIT)),
    ?assertExit({{unknown, y}, _}, gen_event:call(Gen, gen, y)).

event_managers_state(Config) ->
    Gen = gen(Config),
    ?assertEqual({error, enotsup}, gen_event:add_handler(Gen, ?MODULE, [])),
    ?assertEqual({error, module_not_found},
                 gen_event:delete_handler(Gen, ?MODULE, [])),
    ?assertEqual({error, enotsup},
                 gen_event:swap_handler(Gen, {?MODULE, x}, {?MODULE, y})).

%% --------------------------------------------------------------------- sys

get_state(Config) ->
    restart(Config),
    gen_server:cast(gen(Config), one),
    gen_server:cast(gen(Config), {two, "2"}),
    ?assertEqual([one, {two, "2"}], state(gen(Config))),
    ?assertEqual(undefined, state({driver, c(Config)})).

get_status(Config) ->
    Pid = erpc:call(c(Config), erlang, whereis, [gen]),
    {status, Pid, {module, cnode}, [PDict, running, Parent, [], _]} =
        sys:get_status(gen(Config)),
    ?assertEqual([], PDict),
    ?assertEqual(Pid, Parent),
    {status, Pid, _, _} = sys:get_status(Pid, ?WAIT).

suspend_resume(Config) ->
    Gen = gen(Config),
    restart(Config),
    ?assertEqual(ok, sys:suspend(Gen)),
    {status, _, _, [_, suspended | _]} = sys:get_status(Gen),
    gen_server:cast(Gen, one),
    Req = gen_server:send_request(Gen, {echo, x}),
    ?assertEqual([], state(Gen)),
    ?assertEqual(timeout, gen_server:wait_response(Req, 50)),
    ?assertEqual(ok, sys:resume(Gen)),
    ?assertEqual({reply, x}, gen_server:receive_response(Req, ?WAIT)),
    ?assertEqual([one], state(Gen)).

terminate(Config) ->
    Gen = gen(Config),
    Ref = monitor(process, Gen),
    ?assertEqual(ok, sys:terminate(Gen, {shutdown, why})),
    receive {'DOWN', Ref, process, Gen, R} -> ?assertEqual({shutdown, why}, R)
    end,
    wait_until(fun() -> [] =:= (catch state(Gen)) end).

%% gen_server:stop and its kin are proc_lib:stop.
stop(Config) ->
    Gen = gen(Config),
    Again = fun() -> wait_until(fun() -> [] =:= (catch state(Gen)) end)
            end,
    [begin ?assertEqual(ok, Stop()), Again() end
     || Stop <- [fun() -> gen_server:stop(Gen) end,
                 fun() -> gen_server:stop(Gen, shutdown, ?WAIT) end,
                 fun() -> gen_event:stop(Gen) end,
                 fun() -> gen_statem:stop(Gen) end,
                 fun() -> proc_lib:stop(Gen) end]].

unknown_system(Config) ->
    Gen = gen(Config),
    Unknown = fun(F) -> try F() catch C:R -> {C, R} end end,
    [?assertMatch({_, {T, _}} when T =:= unknown_system_msg;
                      T =:= {unknown_system_msg, x}, {F, strip(Unknown(F))})
     || F <- [fun() -> sys:replace_state(Gen, fun(S) -> S end) end,
              fun() -> sys:trace(Gen, true) end,
              fun() -> sys:statistics(Gen, get) end]].

%% {error, {unknown_system_msg, _}} or what sys makes of it.
strip({error, {unknown_system_msg, _} = R}) -> R;
strip({error, {{unknown_system_msg, _} = R, _}}) -> R;
strip({error, {error, R}}) -> strip({error, R});
strip(R) -> R.

%% One that is no server does not know them, and says so at once.
no_system(Config) ->
    ?assertExit({{bad_call, get_state}, _},
                sys:get_state({plain, c(Config)}, infinity)).

unknown_call(Config) ->
    Plain = {plain, c(Config)},
    ?assertExit({{bad_call, x}, _}, gen_server:call(Plain, x, infinity)),
    ?assertExit({{bad_call, _}, _}, gen_event:call(Plain, h, q, infinity)),
    %% as Elixir's Task.Supervisor.async asks
    ?assertExit({{bad_call, _}, _},
                gen_server:call(Plain, {start_task, [self(), monitor],
                                        temporary, nil}, infinity)).

services_answer(Config) ->
    [?assertEqual(undefined, state({N, c(Config)}))
     || N <- [rex, net_kernel]],
    ?assertEqual(pong, net_adm:ping(c(Config))).

%% --------------------------------------------------------------- C as caller

start_server(Fun) ->
    Me = self(),
    Pid = spawn_link(fun() ->
                             register(gen_SUITE_server, self()),
                             Me ! ready,
                             server(Fun)
                     end),
    receive ready -> Pid end.

server(Fun) ->
    receive
        {'$gen_call', From, Req} ->
            case Fun(Req) of
                {reply, R} -> gen_server:reply(From, R);
                noreply -> ok
            end,
            server(Fun);
        {'$gen_cast', {To, M}} -> To ! M, server(Fun);
        stop -> ok
    end.

stop_server(Pid) ->
    unlink(Pid),
    Ref = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Ref, _, _, _} -> ok end.

c_calls(Config) ->
    Pid = start_server(fun(die) -> exit(tired);
                          (wait) -> noreply;
                          (X) -> {reply, {ok, X}}
                       end),
    [begin
         ?assertEqual({'CN_OK', {ok, x}},
                      ask(Config, {call, To, server, x, ?WAIT})),
         ?assertEqual({'CN_ETIMEDOUT', []},
                      ask(Config, {call, To, server, wait, 30})),
         ?assertEqual(ok, ask(Config, {cast, To, {self(), hello}})),
         receive hello -> ok after ?WAIT -> error(missing) end
     end || To <- [Pid, {gen_SUITE_server, node()}]],
    ?assertEqual({'CN_EEXITED', tired}, ask(Config, {call, Pid, server, die,
                                                     ?WAIT})),
    ?assertEqual({'CN_ENOPROC', noproc},
                 ask(Config, {call, {gen_SUITE_server, node()}, server, x,
                              ?WAIT})),
    ?assertMatch({Code, []} when Code =/= 'CN_OK',
                 ask(Config, {call, {x, cnode_test:unique_node("none")},
                              server, x, ?WAIT})).

c_calls_forms(Config) ->
    {ok, Pid} = gen_statem:start({local, gen_SUITE_statem}, ?MODULE, statem,
                                 []),
    ?assertEqual({'CN_OK', {statem, x}},
                 ask(Config, {call, {gen_SUITE_statem, node()}, server, x,
                              ?WAIT})),
    gen_statem:stop(Pid).

callback_mode() -> handle_event_function.
init(statem) -> {ok, state, data};
init(event) -> {ok, []}.
handle_event({call, From}, X, _, _) ->
    {keep_state_and_data, [{reply, From, {statem, X}}]}.
handle_event(E, S) -> {ok, [E | S]}.
handle_call(get, S) -> {ok, S, S}.

c_multi_call(Config) ->
    C = c(Config),
    None = cnode_test:unique_node("none"),
    Pid = start_server(fun(X) -> {reply, {ok, X}} end),
    ?assertMatch([{_, 'CN_OK', {ok, x}}, {None, _, []},
                  {C, 'CN_ENOPROC', noproc}],
                 ask(Config, {call_many, [node(), None, C], gen_SUITE_server, x,
                              ?WAIT})),
    stop_server(Pid).

c_global(Config) ->
    Pid = start_server(fun(X) -> {reply, {ok, X}} end),
    yes = global:register_name(gen_SUITE_global, Pid),
    ?assertEqual({'CN_OK', {ok, x}},
                 ask(Config, {call, {global, gen_SUITE_global, node()}, server,
                              x, ?WAIT})),
    global:unregister_name(gen_SUITE_global),
    ?assertEqual({'CN_ENOPROC', noproc},
                 ask(Config, {call, {global, gen_SUITE_global, node()}, server,
                              x, ?WAIT})),
    stop_server(Pid).

c_global_cast(Config) ->
    Pid = start_server(fun(_) -> noreply end),
    yes = global:register_name(gen_SUITE_global, Pid),
    ?assertEqual(ok, ask(Config, {cast, {global, gen_SUITE_global, node()},
                                  {self(), hello}})),
    receive hello -> ok after ?WAIT -> error(missing) end,
    stop_server(Pid).

c_sys(Config) ->
    {ok, Pid} = gen_statem:start(?MODULE, statem, []),
    Sys = fun(R) -> ask(Config, {call, Pid, sys, R, ?WAIT}) end,
    ?assertEqual({'CN_OK', case erlang:system_info(otp_release) of
                               "25" -> {state, data};
                               _ -> {ok, {state, data}}
                           end}, Sys(get_state)),
    ?assertMatch({'CN_OK', {status, Pid, _, _}}, Sys(get_status)),
    ?assertEqual({'CN_OK', ok}, Sys(suspend)),
    ?assertEqual({'CN_OK', ok}, Sys(resume)),
    ?assertEqual({'CN_OK', ok}, Sys({terminate, normal})).

c_events(Config) ->
    {ok, Pid} = gen_event:start({local, gen_SUITE_event}),
    ok = gen_event:add_handler(Pid, ?MODULE, event),
    Ev = fun(R) -> ask(Config, {call, {gen_SUITE_event, node()}, event, R,
                                ?WAIT}) end,
    ?assertEqual({'CN_OK', [?MODULE]}, Ev(which_handlers)),
    ?assertEqual({'CN_OK', ok}, Ev({sync_notify, one})),
    ?assertEqual({'CN_OK', [one]}, Ev({call, ?MODULE, get})),
    ?assertEqual({'CN_OK', {error, bad_module}}, Ev({call, nobody, get})),
    gen_event:stop(Pid).

%% ------------------------------------------------------------------ Elixir

%% elixir/member.exs against nodes of each kind, where Elixir is installed.
elixir(Config) ->
    elixir_with(Config, "hidden").

elixir_visible(Config) ->
    elixir_with(Config, "visible").

elixir_full(Config) ->
    elixir_with(Config, "full").

elixir_with(_, Kind) ->
    with_elixir(fun(Elixir) ->
                        C = #{node := Node} = rpc_driver:start(["0", Kind]),
                        run_elixir(Elixir, [atom_to_list(Node), Kind]),
                        rpc_driver:stop(C)
                end).

%% What README.md has it do.
elixir_readme(_) ->
    with_elixir(fun(Elixir) ->
                        Two = [cnode_test:serve(#{visible => V})
                               || V <- [false, true]],
                        run_elixir(Elixir, ["readme" |
                                            [atom_to_list(N)
                                             || #{node := N} <- Two]]),
                        [cnode_test:stop(C) || C <- Two]
                end).

with_elixir(Run) ->
    case os:find_executable("elixir") of
        false -> {skip, "elixir is not installed"};
        Elixir -> Run(Elixir)
    end.

run_elixir(Elixir, Args) ->
    Script = filename:join([filename:dirname(code:which(?MODULE)), "elixir",
                            "member.exs"]),
    Port = open_port({spawn_executable, Elixir},
                     [{args, ["--name",
                              atom_to_list(cnode_test:unique_node("ex")),
                              "--cookie", cnode_test:cookie(), Script | Args]},
                      stderr_to_stdout, exit_status, binary]),
    {Status, Out} = output(Port, []),
    ct:log("~ts", [Out]),
    ?assertEqual({0, true}, {Status, binary:match(Out, <<"all done">>)
                             =/= nomatch}).

output(Port, Acc) ->
    receive
        {Port, {data, D}} -> output(Port, [Acc, D]);
        {Port, {exit_status, S}} -> {S, iolist_to_binary(Acc)}
    end.
