#!/usr/bin/env escript
%%! -name vec@127.0.0.1 -hidden -setcookie abc
%% SPDX-License-Identifier: Apache-2.0
%%
%% What a real node sends: dials its own distribution port by hand, once as a
%% node that knows all of the protocol and once as one that knows only the old
%% messages, makes processes do what is to be seen, and writes each frame as
%% `NAME hex`, without its length. Forms that no release sends (*) are the
%% frame of the same shape with another number in it. At the end, what a node
%% says as the one that dials. Needs an epmd. Written by OTP 25:
%%
%%   escript dist_vectors.escript >dist_vectors.txt
%%
%% and what only newer ones say, by OTP 29:
%%
%%   escript dist_vectors.escript altact >altact_vectors.txt
-mode(compile).

-define(CREATION, 16#12345678).
%% Without headers and fragments.
-define(NEW, 16#d075f5fbc).
%% Neither SEND_SENDER nor EXIT_PAYLOAD.
-define(OLD, (?NEW band bnot 16#480000)).
-define(ALTACT, (1 bsl 37)).

main(["altact"]) ->
    io:format("# OTP ~s~n", [erlang:system_info(otp_release)]),
    altact(dial('ctl@127.0.0.1', ?NEW bor ?ALTACT));
main(_) ->
    io:format("# OTP ~s~n", [erlang:system_info(otp_release)]),
    modern(dial('ctl@127.0.0.1', ?NEW)),
    old(dial('old@127.0.0.1', ?OLD)),
    dialling().

modern(S) ->
    P = pid('ctl@127.0.0.1'),
    R = ref('ctl@127.0.0.1', 9),
    W = worker(),
    ask(W, fun() -> link(P) end),
    note(S, "LINK", 1),
    ask(W, fun() -> unlink(P) end),
    note(S, "UNLINK_ID", 35),
    tell(S, {35, 77, P, W}),
    note(S, "UNLINK_ID_ACK", 36),
    tell(S, {35, 1 bsl 63, P, W}),
    note(S, "UNLINK_ID_ACK", 36),
    messages(S, W, P, R),
    monitors(S, W, P, R),
    exits(S, P),
    spawns(S, W, P, R),
    traced(S, P, R).

messages(S, W, P, R) ->
    ask(W, fun() -> P ! hello end),
    note(S, "SEND_SENDER", 22),
    ask(W, fun() -> {foo, 'ctl@127.0.0.1'} ! {hello, [1, 2.5, <<"x">>]} end),
    note(S, "REG_SEND", 6),
    ask(W, fun() -> R ! hello end),
    note(S, "ALIAS_SEND", 33),
    ask(W, fun() -> group_leader(W, P) end),
    note(S, "GROUP_LEADER", 7).

monitors(S, W, P, R) ->
    M = ask(W, fun() -> monitor(process, P) end),
    note(S, "MONITOR_P", 19),
    ask(W, fun() -> demonitor(M) end),
    note(S, "DEMONITOR_P", 20),
    N = ask(W, fun() -> monitor(process, {foo, 'ctl@127.0.0.1'}) end),
    note(S, "MONITOR_P", 19),
    ask(W, fun() -> demonitor(N) end),
    note(S, "DEMONITOR_P", 20),
    tell(S, {19, P, nobody, R}),
    note(S, "PAYLOAD_MONITOR_P_EXIT", 28),
    V = worker(),
    tell(S, {19, P, V, R}),
    timer:sleep(200),
    exit(V, bye),
    note(S, "PAYLOAD_MONITOR_P_EXIT", 28).

exits(S, P) ->
    V = worker(),
    ask(V, fun() -> link(P) end),
    skip(S, 1),
    exit(V, {my, reason}),
    F = note(S, "PAYLOAD_EXIT", 24),
    patch("UNLINK", lists:sublist(F, length(F) - tail({my, reason})), 4),
    ask(worker(), fun() -> exit(P, kill) end),
    note(S, "PAYLOAD_EXIT2", 26).

spawns(S, W, P, R) ->
    ask(W, fun() -> spawn_request('ctl@127.0.0.1', m, f, [a, 1],
                                  [link, monitor, {priority, high}]) end),
    note(S, "SPAWN_REQUEST", 29),
    tell(S, {29, R, P, P, {erlang, now, 0}, [link, monitor]}, []),
    note(S, "SPAWN_REPLY", 31),
    tell(S, {29, R, P, P, {erlang, now, 0}, [what]}, []),
    note(S, "SPAWN_REPLY", 31),
    ask(W, fun() -> trace(), spawn_request('ctl@127.0.0.1', m, f, [], []) end),
    note(S, "SPAWN_REQUEST_TT", 30),
    Token = {0, 17, 4, P, 3},
    tell(S, {30, R, P, P, {erlang, now, 0}, [], Token}, []),
    note(S, "SPAWN_REPLY_TT", 32).

traced(S, P, R) ->
    ask(worker(), fun() -> trace(), P ! hello end),
    note(S, "SEND_SENDER_TT", 23),
    ask(worker(), fun() -> trace(), {foo, 'ctl@127.0.0.1'} ! hello end),
    note(S, "REG_SEND_TT", 16),
    ask(worker(), fun() -> trace(), R ! hello end),
    note(S, "ALIAS_SEND_TT", 34),
    spawn(fun() -> link(P), trace(), exit(bye) end),
    skip(S, 1),
    F = note(S, "PAYLOAD_EXIT_TT", 25),
    patch("PAYLOAD_EXIT2_TT", F, 27).

old(S) ->
    P = pid('old@127.0.0.1'),
    ask(worker(), fun() -> P ! hello end),
    note(S, "SEND", 2),
    ask(worker(), fun() -> trace(), P ! hello end),
    note(S, "SEND_TT", 12),
    spawn(fun() -> link(P), exit({my, reason}) end),
    skip(S, 1),
    note(S, "EXIT", 3),
    spawn(fun() -> link(P), trace(), exit(bye) end),
    skip(S, 1),
    F = note(S, "EXIT_TT", 13),
    patch("EXIT2_TT", F, 18),
    ask(worker(), fun() -> exit(P, bye) end),
    note(S, "EXIT2", 8),
    tell(S, {19, P, nobody, ref('old@127.0.0.1', 9)}),
    note(S, "MONITOR_P_EXIT", 21).

%% ALTACT_SIG_SEND: messages and exits, to an alias, a pid and a name, with
%% priority and without, traced and not.
altact(S) ->
    P = pid('ctl@127.0.0.1'),
    R = ref('ctl@127.0.0.1', 9),
    N = {foo, 'ctl@127.0.0.1'},
    [begin
         ask(worker(), Do),
         note(S, "ALTACT_SIG_SEND", 37)
     end || Do <- [fun() -> R ! hello end,
                   fun() -> erlang:send(R, hello, [priority]) end,
                   fun() -> erlang:send(P, hello, [priority]) end,
                   fun() -> erlang:send(N, hello, [priority]) end,
                   fun() -> exit(R, bye) end,
                   fun() -> exit(R, bye, [priority]) end,
                   fun() -> exit(P, bye, [priority]) end,
                   fun() -> trace(), R ! hello end,
                   fun() -> trace(), erlang:send(N, hello, [priority]) end]].

%% send_name, challenge_reply of the node that dials us.
dialling() ->
    {ok, L} = gen_tcp:listen(0, [binary, {active, false},
                                 {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(L),
    Epmd = enrol(<<"py">>, Port),
    spawn(fun() -> net_kernel:connect_node('py@127.0.0.1') end),
    {ok, S} = gen_tcp:accept(L),
    Name = hs(S),
    say(S, <<"sok">>),
    say(S, challenge('py@127.0.0.1', ?NEW bor 1, 77)),
    <<$r, Theirs:32, _/binary>> = Reply = hs(S),
    say(S, <<$a, (digest(Theirs))/binary>>),
    line("send_name", Name),
    line("challenge_reply", Reply),
    line("challenge_ack", <<$a, (digest(Theirs))/binary>>),
    gen_tcp:close(Epmd).

enrol(Name, Port) ->
    Epmd = list_to_integer(os:getenv("ERL_EPMD_PORT", "4369")),
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Epmd,
                              [binary, {active, false}]),
    Alive = <<120, Port:16, 77, 0, 6:16, 5:16, (byte_size(Name)):16,
              Name/binary, 0:16>>,
    say(S, Alive),
    {ok, <<118, 0, _:32>>} = gen_tcp:recv(S, 6, 5000),
    S.

%% --- a worker does what it is asked -----------------------------------------

worker() ->
    spawn(fun Loop() ->
              receive
                  {do, From, Fun} -> From ! {self(), Fun()}, Loop()
              end
          end).

ask(W, Fun) ->
    W ! {do, self(), Fun},
    Result = receive {W, R} -> R end,
    seq_trace:set_token([]),
    Result.

trace() ->
    seq_trace:set_token(label, 17),
    seq_trace:set_token(send, true).

%% --- the peer ---------------------------------------------------------------

dial(Node, Flags) ->
    {port, Port, _} = erl_epmd:port_please("vec", {127, 0, 0, 1}),
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Port,
                              [binary, {active, false}, {nodelay, true}]),
    Name = atom_to_binary(Node),
    say(S, <<$N, Flags:64, ?CREATION:32, (byte_size(Name)):16, Name/binary>>),
    <<"sok">> = hs(S),
    <<$N, _:64, Theirs:32, _/binary>> = hs(S),
    say(S, <<$r, 1:32, (digest(Theirs))/binary>>),
    <<$a, _:16/binary>> = hs(S),
    up(Node),
    S.

up(Node) ->
    case lists:member(Node, nodes(hidden)) of
        true -> ok;
        false -> timer:sleep(10), up(Node)
    end.

challenge(Node, Flags, Challenge) ->
    Name = atom_to_binary(Node),
    <<$N, Flags:64, Challenge:32, ?CREATION:32, (byte_size(Name)):16,
      Name/binary>>.

digest(Challenge) ->
    erlang:md5(["abc", integer_to_list(Challenge)]).

say(S, Bytes) ->
    ok = gen_tcp:send(S, <<(byte_size(Bytes)):16, Bytes/binary>>).

hs(S) ->
    {ok, <<N:16>>} = gen_tcp:recv(S, 2, 5000),
    {ok, Bytes} = gen_tcp:recv(S, N, 5000),
    Bytes.

tell(S, Control) ->
    frame(S, term_to_binary(Control)).

tell(S, Control, Payload) ->
    frame(S, [term_to_binary(Control), term_to_binary(Payload)]).

frame(S, Terms) ->
    Bytes = iolist_to_binary([112, Terms]),
    ok = gen_tcp:send(S, <<(byte_size(Bytes)):32, Bytes/binary>>).

%% The next frame with this number.
skip(S, Op) ->
    {ok, <<N:32>>} = gen_tcp:recv(S, 4, 5000),
    {ok, Bytes} = gen_tcp:recv(S, N, 5000),
    case Bytes of
        <<112, 131, 104, _, 97, Op, _/binary>> -> Bytes;
        _ -> skip(S, Op)
    end.

note(S, Name, Op) ->
    Bytes = skip(S, Op),
    line(Name, Bytes),
    binary_to_list(Bytes).

line(Name, Bytes) ->
    io:format("~s ~s~n", [Name, string:lowercase(binary:encode_hex(Bytes))]).

%% 112 131 104 Arity 97 Op
patch(Name, [A, B, C, D, E, _ | Rest], Op) ->
    line(Name ++ "*", list_to_binary([A, B, C, D, E, Op | Rest])).

%% The size of a payload of atoms as nodes send them.
tail({A, B}) ->
    3 + 4 + length(atom_to_list(A)) + length(atom_to_list(B)).

pid(Node) ->
    Name = atom_to_binary(Node),
    binary_to_term(<<131, 88, 119, (byte_size(Name)), Name/binary, 2:32, 0:32,
                     ?CREATION:32>>).

ref(Node, Id) ->
    Name = atom_to_binary(Node),
    binary_to_term(<<131, 90, 3:16, 119, (byte_size(Name)), Name/binary,
                     ?CREATION:32, Id:32, 2:32, 3:32>>).
