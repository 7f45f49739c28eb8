%% SPDX-License-Identifier: Apache-2.0
%%
%% rpc and erpc in all their forms, from Erlang to the C node of rpc_driver.c
%% and from it to Erlang. What the forms do with plain values is in serve_SUITE.
-module(rpc_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1, flush/0]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [classes, rpc_classes, from_thread, threads_at_once, from_thread_too_late,
     caller_gives_up, caller_dies, caller_disconnects, cast_is_wanted_by_nobody,
     too_many, apply_forms, parallel, server_calls, eval_everywhere, builtins,
     infos, pings, request_collections,
     erpc_from_c, rex_from_c, many_from_c, many_one_timeout, sbcast_from_c,
     send_many_from_c, late_answer_to_c].

init_per_suite(Config) ->
    Config1 = cnode_test:init_suite(Config),
    [{driver, rpc_driver:start()} | Config1].

end_per_suite(Config) ->
    rpc_driver:stop(?config(driver, Config)),
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

%% Whatever a case did, the node is there after it, and nothing is left here.
end_per_testcase(_, Config) ->
    ?assertEqual(3, erpc:call(c(Config), c, add, [1, 2], ?WAIT)),
    flush().

driver(Config) ->
    ?config(driver, Config).

c(Config) ->
    maps:get(node, driver(Config)).

ask(Config, Command) ->
    rpc_driver:ask(driver(Config), Command).

none() ->
    cnode_test:unique_node("none").

%% ------------------------------------------------------------ exceptions

classes(Config) ->
    C = c(Config),
    R = {my, "reason"},
    ?assertError({exception, R, [{c, raise, 2, []} | _]},
                 erpc:call(C, c, raise, [error, R])),
    ?assertThrow(R, erpc:call(C, c, raise, [throw, R])),
    ?assertExit({exception, R}, erpc:call(C, c, raise, [exit, R])),
    ?assertError({exception, badarg, [{c, badarg, 0, []} | _]},
                 erpc:call(C, c, badarg, [])),
    ?assertError({exception, undef, [{c, add, [1], []} | _]},
                 erpc:call(C, c, add, [1])),
    %% and the same without erpc, where the process ends of it
    [begin
         {Pid, Ref} = spawn_monitor(C, c, raise, [Class, R]),
         receive {'DOWN', Ref, process, Pid, Reason} ->
                 ?assertMatch({true, _}, {Is(Reason), Reason})
         end
     end || {Class, Is} <- [{exit, fun(X) -> X =:= R end},
                            {error, fun({X, [_ | _]}) -> X =:= R end},
                            {throw, fun({{nocatch, X}, [_ | _]}) ->
                                            X =:= R end}]].

rpc_classes(Config) ->
    C = c(Config),
    [begin
         ?assertEqual(ball, Call(C, c, raise, [throw, ball])),
         ?assertEqual({badrpc, {'EXIT', why}}, Call(C, c, raise, [exit, why])),
         ?assertMatch({badrpc, {'EXIT', {why, [{c, raise, 2, []} | _]}}},
                      Call(C, c, raise, [error, why])),
         ?assertMatch({badrpc, {'EXIT', {undef, [{c, nix, [], []} | _]}}},
                      Call(C, c, nix, []))
     end || Call <- [fun rpc:call/4, fun rpc:block_call/4]].

%% ------------------------------------------------------------- answers later

from_thread(Config) ->
    ?assertEqual({thread, {a, "term"}},
                 erpc:call(c(Config), c, thread, [{a, "term"}])),
    ?assertEqual({thread, x}, rpc:call(c(Config), c, thread, [x])),
    ?assertEqual({thread, x}, rpc:block_call(c(Config), c, thread, [x])).

threads_at_once(Config) ->
    N = 300,
    Reqs = [{I, erpc:send_request(c(Config), c, thread, [I])}
            || I <- lists:seq(1, N)],
    [?assertEqual({thread, I}, erpc:receive_response(R, ?WAIT))
     || {I, R} <- Reqs].

%% The callers are gone when the threads answer, or are not: nobody is harmed.
from_thread_too_late(Config) ->
    [catch erpc:call(c(Config), c, thread, [I], 0) || I <- lists:seq(1, 100)],
    ?assertEqual([], flush()).

%% -------------------------------------------------------- callers that leave

abandoned(Config) ->
    erpc:call(c(Config), c, abandoned, []).

processes_there(Config) ->
    length(erpc:call(c(Config), erlang, processes, [])).

caller_gives_up(Config) ->
    Before = abandoned(Config),
    ?assertError({erpc, timeout}, erpc:call(c(Config), c, hang, [], 50)),
    wait_until(fun() -> abandoned(Config) =:= Before + 1 end),
    ?assertEqual({badrpc, timeout}, rpc:call(c(Config), c, hang, [], 50)),
    wait_until(fun() -> abandoned(Config) =:= Before + 2 end).

caller_dies(Config) ->
    Before = abandoned(Config),
    C = c(Config),
    N = processes_there(Config),
    Pid = spawn(fun() -> erpc:call(C, c, hang, []) end),
    wait_until(fun() -> processes_there(Config) > N end),
    exit(Pid, kill),
    wait_until(fun() -> abandoned(Config) =:= Before + 1 end).

caller_disconnects(Config) ->
    Before = abandoned(Config),
    C = c(Config),
    Reqs = [erpc:send_request(C, c, hang, []) || _ <- lists:seq(1, 10)],
    ?assertEqual(3, erpc:call(C, c, add, [1, 2])),
    erlang:disconnect_node(C),
    [?assertError({erpc, noconnection}, erpc:receive_response(R, ?WAIT))
     || R <- Reqs],
    wait_until(fun() -> abandoned(Config) =:= Before + 10 end).

%% hang is told so, and fails, with nobody to hear it.
cast_is_wanted_by_nobody(Config) ->
    Before = abandoned(Config),
    N = processes_there(Config),
    ok = erpc:cast(c(Config), c, hang, []),
    wait_until(fun() -> processes_there(Config) =:= N end),
    ?assertEqual(Before, abandoned(Config)).

too_many(_) ->
    D = #{node := C} = rpc_driver:start(["3"]),
    Reqs = [erpc:send_request(C, c, hang, []) || _ <- lists:seq(1, 3)],
    ?assertError({erpc, system_limit}, erpc:call(C, c, add, [1, 2])),
    ?assertEqual({badrpc, {'EXIT', system_limit}},
                 rpc:call(C, c, add, [1, 2])),
    ?assertEqual([{error, {erpc, system_limit}}],
                 erpc:multicall([C], c, add, [1, 2])),
    [?assertError({erpc, timeout}, erpc:receive_response(R, 0)) || R <- Reqs],
    wait_until(fun() -> 3 =:= (catch erpc:call(C, c, add, [1, 2])) end),
    rpc_driver:stop(D).

%% --------------------------------------------------------- forms from Erlang

apply_forms(Config) ->
    C = c(Config),
    ?assertEqual(3, erpc:call(C, erlang, apply, [c, add, [1, 2]])),
    ?assertEqual(3, erpc:call(C, erlang, apply, [fun c:add/2, [1, 2]])),
    ?assertEqual(C, erpc:call(C, fun erlang:node/0)),
    ?assertEqual([{ok, C}], erpc:multicall([C], fun erlang:node/0)).

parallel(Config) ->
    C = c(Config),
    Keys = [rpc:async_call(C, c, add, [I, I]) || I <- lists:seq(1, 20)],
    ?assertEqual([2 * I || I <- lists:seq(1, 20)],
                 [rpc:yield(K) || K <- Keys]),
    Never = rpc:async_call(C, c, hang, []),
    ?assertEqual(timeout, rpc:nb_yield(Never)),
    Slow = rpc:async_call(C, c, sleep, [100]),
    ?assertEqual({value, ok}, rpc:nb_yield(Slow, ?WAIT)),
    %% these go to all of nodes(), and a hidden one is not in it
    ?assertEqual([3, 7], lists:map(fun rpc:yield/1,
                                   [rpc:async_call(C, c, add, [1, 2]),
                                    rpc:async_call(C, c, add, [3, 4])])).

server_calls(Config) ->
    C = c(Config),
    ?assertEqual({ok, req}, rpc:server_call(C, plain, plain, req)),
    ?assertEqual({error, nodedown},
                 rpc:server_call(none(), plain, plain, req)),
    ?assertEqual({[{ok, req}], []},
                 rpc:multi_server_call([C], plain, req)),
    {[], [C]} = rpc:multi_server_call([C], nobody, req).

eval_everywhere(Config) ->
    C = c(Config),
    register(rpc_SUITE_here, self()),
    Me = {rpc_SUITE_here, node()},
    ?assertEqual(abcast, rpc:eval_everywhere([C], erlang, send, [Me, hello])),
    receive hello -> ok after ?WAIT -> error(missing) end,
    unregister(rpc_SUITE_here).

%% ------------------------------------------------------------------ built in

builtins(Config) ->
    C = c(Config),
    Call = fun(F, A) -> erpc:call(C, erlang, F, A) end,
    ?assertEqual(C, Call(node, [])),
    ?assert(lists:member(node(), Call(nodes, [hidden]))),
    ?assert(lists:member(node(), Call(nodes, [connected]))),
    ?assertEqual([C], Call(nodes, [this])),
    ?assertEqual(undefined, Call(whereis, [nobody])),
    Echo = Call(whereis, [echo]),
    ?assertEqual(C, node(Echo)),
    ?assert(lists:member(echo, Call(registered, []))),
    ?assert(lists:member(Echo, Call(processes, []))),
    ?assertEqual(true, Call(is_process_alive, [Echo])),
    ?assertError({exception, badarg, _}, Call(is_process_alive, [self()])),
    ?assertError({exception, undef, _}, Call(system_info, [otp_release])),
    ?assert(is_integer(Call(system_info, [process_count]))),
    ?assertEqual(hello, Call(send, [self(), hello])),
    receive hello -> ok after ?WAIT -> error(missing) end,
    Pid = spawn(C, c, hang, []),
    ?assertEqual(true, Call(exit, [Pid, kill])),
    wait_until(fun() -> not Call(is_process_alive, [Pid]) end).

%% As the shell's i/1 and rpc:pinfo/1 ask.
infos(Config) ->
    Echo = erpc:call(c(Config), erlang, whereis, [echo]),
    link(Echo),
    Info = rpc:pinfo(Echo),
    [?assert(proplists:is_defined(K, Info))
     || K <- [initial_call, current_function, reductions, message_queue_len,
              heap_size, stack_size, links, group_leader]],
    ?assertEqual(echo, proplists:get_value(registered_name, Info)),
    ?assertEqual([self()], proplists:get_value(links, Info)),
    unlink(Echo),
    ?assertEqual({trap_exit, false}, rpc:pinfo(Echo, trap_exit)),
    ?assertEqual([{status, waiting}, {registered_name, echo}],
                 rpc:pinfo(Echo, [status, registered_name])),
    ?assertMatch({badrpc, {'EXIT', {badarg, _}}}, rpc:pinfo(Echo, weight)).

pings(Config) ->
    C = c(Config),
    ?assertEqual(pong, rpc:call(C, net_adm, ping, [node()])),
    ?assertEqual(pang, rpc:call(C, net_adm, ping, [none()])),
    cnode_test:with_peer(#{}, fun(_, Peer) ->
        ?assertEqual(true, rpc:call(C, net_kernel, connect_node, [Peer])),
        ?assert(lists:member(Peer, rpc:call(C, erlang, nodes, [connected])))
    end).

%% All of what collects the answers to erpc's requests.
request_collections(Config) ->
    C = c(Config),
    Never = erpc:send_request(C, c, hang, [], never, erpc:reqids_new()),
    ?assertEqual(no_response, erpc:wait_response(Never, 0, true)),
    Reqs = lists:foldl(fun({L, M}, Acc) ->
                               erpc:send_request(C, c, sleep, [M], L, Acc)
                       end, erpc:reqids_new(), [{slow, 1000}, {fast, 10}]),
    ?assertEqual(2, erpc:reqids_size(Reqs)),
    {{response, ok}, fast, Left} = erpc:wait_response(Reqs, ?WAIT, true),
    ?assertEqual([slow], [L || {_, L} <- erpc:reqids_to_list(Left)]),
    {ok, slow, None} = erpc:receive_response(Left, ?WAIT, true),
    ?assertEqual(no_request, erpc:wait_response(None, 0, true)),
    R = erpc:send_request(C, c, add, [1, 2]),
    receive M -> ?assertEqual({response, 3}, erpc:check_response(M, R)) end,
    ?assertEqual(no_response, erpc:check_response(other, R)),
    Bad = erpc:send_request(C, c, raise, [exit, why]),
    ?assertExit({exception, why}, erpc:receive_response(Bad, ?WAIT)).

%% --------------------------------------------------------------- from C

f_add(A, B) -> A + B.
f_fail(error, R) -> error(R);
f_fail(exit, R) -> exit(R);
f_fail(throw, R) -> throw(R).
f_meet(Gate) -> Gate ! {begun, self()}, receive go -> met end.
f_sleep(Ms) -> timer:sleep(Ms), slept.

erpc_from_c(Config) ->
    Rpc = fun(F, A) -> ask(Config, {rpc, erpc, node(), ?MODULE, F, A, ?WAIT})
          end,
    ?assertEqual({'CN_OK', 3}, Rpc(f_add, [1, 2])),
    ?assertMatch({'CN_EREMOTE', {error, why, [_ | _]}},
                 Rpc(f_fail, [error, why])),
    ?assertEqual({'CN_EREMOTE', {exit, why, []}}, Rpc(f_fail, [exit, why])),
    ?assertEqual({'CN_EREMOTE', {throw, why, []}}, Rpc(f_fail, [throw, why])),
    ?assertMatch({'CN_EREMOTE', {error, undef, _}}, Rpc(nix, [])),
    ?assertEqual({'CN_ETIMEDOUT', []},
                 ask(Config, {rpc, erpc, node(), ?MODULE, f_sleep, [60000],
                              20})).

rex_from_c(Config) ->
    [begin
         Rpc = fun(F, A) ->
                       ask(Config, {rpc, How, node(), ?MODULE, F, A, ?WAIT})
               end,
         ?assertEqual({'CN_OK', 3}, Rpc(f_add, [1, 2])),
         ?assertEqual({'CN_OK', why}, Rpc(f_fail, [throw, why])),
         ?assertEqual({'CN_EREMOTE', {badrpc, {'EXIT', why}}},
                      Rpc(f_fail, [exit, why])),
         ?assertMatch({'CN_EREMOTE', {badrpc, {'EXIT', {undef, _}}}},
                      Rpc(nix, []))
     end || How <- [rex, block]].

many_from_c(Config) ->
    None = none(),
    C = c(Config),
    cnode_test:with_peer(#{}, fun(_, Peer) ->
        Many = fun(Nodes, F, A) ->
                       ask(Config, {rpc_many, Nodes, erlang, F, A, ?WAIT})
               end,
        ?assertMatch([{Peer, 'CN_OK', Peer}, {None, _, []},
                      {Node, 'CN_OK', Node}, {C, 'CN_OK', C},
                      {Peer, 'CN_OK', Peer}] when Node =:= node(),
                     Many([Peer, None, node(), C, Peer], node, [])),
        ?assertMatch([{Peer, 'CN_EREMOTE', {error, badarg, [_ | _]}}],
                     Many([Peer], atom_to_list, [1])),
        ?assertEqual([], Many([], node, []))
    end).

%% The timeout is that of all.
many_one_timeout(Config) ->
    ?assertEqual(lists:duplicate(10, {node(), 'CN_ETIMEDOUT', []}),
                 ask(Config, {rpc_many, lists:duplicate(10, node()), ?MODULE,
                              f_sleep, [60000], 200})),
    %% They run side by side: none goes on before all have begun.
    Gate = spawn_link(fun() ->
                              [P ! go || P <- [receive {begun, B} -> B end
                                               || _ <- lists:seq(1, 10)]]
                      end),
    ?assertEqual(lists:duplicate(10, {node(), 'CN_OK', met}),
                 ask(Config, {rpc_many, lists:duplicate(10, node()), ?MODULE,
                              f_meet, [Gate], ?WAIT})).

sbcast_from_c(Config) ->
    register(rpc_SUITE_here, self()),
    None = none(),
    C = c(Config),
    ?assertMatch([{_, 'CN_OK', hi}, {None, _, []},
                  {C, 'CN_EREMOTE', {error, badarg, _}}],
                 ask(Config, {sbcast, [node(), None, C], rpc_SUITE_here, hi,
                              ?WAIT})),
    receive hi -> ok after 0 -> error(missing) end,
    unregister(rpc_SUITE_here),
    ?assertMatch([{_, 'CN_EREMOTE', {error, badarg, _}}],
                 ask(Config, {sbcast, [node()], rpc_SUITE_here, hi, ?WAIT})).

send_many_from_c(Config) ->
    register(rpc_SUITE_here, self()),
    ?assertEqual(ok, ask(Config, {send_many, [node(), none()], rpc_SUITE_here,
                                  hi})),
    receive hi -> ok after ?WAIT -> error(missing) end,
    ?assertEqual(ok, ask(Config, {cast_many, [node()], rpc_SUITE_here, hi})),
    receive {'$gen_cast', hi} -> ok after ?WAIT -> error(missing) end,
    unregister(rpc_SUITE_here).

%% A server that answers when C waits no more: nothing of it comes there.
late_answer_to_c(Config) ->
    Me = self(),
    Slow = spawn_link(fun() ->
        receive {'$gen_call', From, x} ->
                receive go -> gen_server:reply(From, late) end,
                Me ! answered
        end end),
    ?assertEqual({'CN_ETIMEDOUT', []},
                 ask(Config, {call, Slow, server, x, 50})),
    Slow ! go,
    receive answered -> ok end,
    [{_, Pid}] = [{N, P} || N <- [driver],
                            P <- [erpc:call(c(Config), erlang, whereis, [N])]],
    ?assertEqual({message_queue_len, 0},
                 rpc:pinfo(Pid, message_queue_len)).
