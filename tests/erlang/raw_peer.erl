%% SPDX-License-Identifier: Apache-2.0
%%
%% A distribution peer by hand: every step of both handshake roles is one
%% function, so that a test can send anything, stop anywhere, and lie. The
%% socket stays in raw mode; lengths are written here (u16 during the
%% handshake, u32 after it).
%%
%% Without the flags for headers and fragments the connected phase has the
%% pass-through form, `112 Term Term`: term_to_binary/1 is the whole encoder.
-module(raw_peer).

-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

%% sockets and EPMD
-export([connect/1, listen/0, listen/1, accept/1, accept/2, close/1,
         register/3, unregister/1, closed/2, send/2]).
%% handshake
-export([flags/0, flags/1, digest/2, send_hs/2, recv_hs/1, recv_hs/2,
         send_name/2, send_name/4, recv_status/1, recv_challenge/1,
         send_reply/4, recv_ack/1, recv_name/1, send_status/2,
         send_challenge/4, recv_reply/1, send_ack/3, dial/3, dial/4,
         finish_dial/3, answer/4]).
%% connected
-export([send_frame/2, recv_frame/1, recv_frame/2, tick/1, send_ctl/2,
         send_ctl/3, recv_ctl/1, recv_ctl/2, await_ctl/2, self_pid/1, pid/2,
         ref/2, ping/2]).

-define(CREATION, 16#12345678).

%% ------------------------------------------------------- sockets and EPMD

connect(Port) ->
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Port,
                              [binary, {packet, raw}, {active, false},
                               {nodelay, true}, {send_timeout, 10000}], ?WAIT),
    S.

listen() ->
    listen([]).

listen(Opts) ->
    {ok, L} = gen_tcp:listen(0, [binary, {packet, raw}, {active, false},
                                 {nodelay, true}, {ip, {127, 0, 0, 1}} | Opts]),
    {ok, Port} = inet:port(L),
    {L, Port}.

accept(L) ->
    accept(L, ?WAIT).

accept(L, Ms) ->
    {ok, S} = gen_tcp:accept(L, Ms),
    S.

close(S) ->
    gen_tcp:close(S).

%% ALIVE2: the name is ours as long as the returned socket lives. Node may be
%% a full name. Type is 77 (visible) or 72 (hidden).
register(Node, Port, Type) ->
    [Name | _] = string:split(atom_to_binary(Node), "@"),
    S = connect(cnode_test:epmd_port()),
    Body = <<120, Port:16, Type, 0, 6:16, 5:16, (byte_size(Name)):16,
             Name/binary, 0:16>>,
    ok = send(S, <<(byte_size(Body)):16, Body/binary>>),
    case gen_tcp:recv(S, 6, ?WAIT) of
        {ok, <<118, 0, Creation:32>>} -> {ok, S, Creation};
        {ok, <<118, 1, _:32>>} -> {error, name_taken}
    end.

unregister(S) ->
    gen_tcp:close(S).

%% True when the other end closed within Ms; what it said before is dropped.
closed(S, Ms) ->
    Deadline = erlang:monotonic_time(millisecond) + Ms,
    drain(S, Deadline).

drain(S, Deadline) ->
    Left = max(0, Deadline - erlang:monotonic_time(millisecond)),
    case gen_tcp:recv(S, 0, Left) of
        {ok, _} -> drain(S, Deadline);
        {error, timeout} -> false;
        {error, _} -> true
    end.

%% Any bytes. A peer that closed in the middle is not an error of the test.
send(S, Bytes) ->
    _ = gen_tcp:send(S, Bytes),
    ok.

%% -------------------------------------------------------------- handshake

%% hidden: what every release wants, and monitors, sender, exit payload,
%% spawn, alias; no header, no fragments. visible: the same, published.
flags() ->
    flags(hidden).

flags(hidden) ->
    lists:foldl(fun(Bit, F) -> F bor (1 bsl Bit) end, 0,
                [2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 14, 16, 17, 18, 19, 20, 22,
                 24, 25, 26, 32, 34, 35]);
flags(visible) ->
    flags(hidden) bor 1;
flags(fragments) ->
    flags(hidden) bor (1 bsl 23);
flags(cache) ->
    flags(fragments) bor (1 bsl 13).

digest(Challenge, Cookie) ->
    crypto:hash(md5, [Cookie, integer_to_list(Challenge)]).

send_hs(S, Body) ->
    send(S, <<(byte_size(Body)):16, Body/binary>>).

recv_hs(S) ->
    recv_hs(S, ?WAIT).

recv_hs(S, Ms) ->
    case gen_tcp:recv(S, 2, Ms) of
        {ok, <<Length:16>>} ->
            case gen_tcp:recv(S, Length, Ms) of
                {ok, Body} -> Body;
                {error, Reason} -> {error, Reason}
            end;
        {error, Reason} -> {error, Reason}
    end.

send_name(S, Node) ->
    send_name(S, Node, flags(), ?CREATION).

send_name(S, Node, Flags, Creation) ->
    Name = atom_to_binary(Node),
    send_hs(S, <<$N, Flags:64, Creation:32, (byte_size(Name)):16,
                 Name/binary>>).

recv_status(S) ->
    case recv_hs(S) of
        <<$s, Status/binary>> -> Status;
        {error, Reason} -> {error, Reason}
    end.

recv_challenge(S) ->
    <<$N, Flags:64, Challenge:32, Creation:32, N:16, Name:N/binary, _/binary>>
        = recv_hs(S),
    #{flags => Flags, challenge => Challenge, creation => Creation,
      name => binary_to_atom(Name)}.

%% The reply to their challenge, and our own.
send_reply(S, Theirs, Ours, Cookie) ->
    send_hs(S, <<$r, Ours:32, (digest(Theirs, Cookie))/binary>>).

recv_ack(S) ->
    case recv_hs(S) of
        <<$a, Digest:16/binary>> -> Digest;
        {error, Reason} -> {error, Reason}
    end.

recv_name(S) ->
    <<$N, Flags:64, Creation:32, N:16, Name:N/binary, _/binary>> = recv_hs(S),
    #{flags => Flags, creation => Creation, name => binary_to_atom(Name)}.

send_status(S, Status) ->
    send_hs(S, <<$s, Status/binary>>).

send_challenge(S, Node, Flags, Challenge) ->
    Name = atom_to_binary(Node),
    send_hs(S, <<$N, Flags:64, Challenge:32, ?CREATION:32,
                 (byte_size(Name)):16, Name/binary>>).

recv_reply(S) ->
    case recv_hs(S) of
        <<$r, Challenge:32, Digest:16/binary>> ->
            #{challenge => Challenge, digest => Digest};
        {error, Reason} -> {error, Reason}
    end.

send_ack(S, Theirs, Cookie) ->
    send_hs(S, <<$a, (digest(Theirs, Cookie))/binary>>).

%% The whole of it as initiator; the peer is then connected.
dial(Port, Node, Cookie) ->
    dial(Port, Node, Cookie, flags()).

dial(Port, Node, Cookie, Flags) ->
    S = connect(Port),
    send_name(S, Node, Flags, ?CREATION),
    ?assertEqual(<<"ok">>, recv_status(S)),
    finish_dial(S, Cookie, 16#01020304).

%% From the challenge on.
finish_dial(S, Cookie, Ours) ->
    #{challenge := Theirs} = recv_challenge(S),
    send_reply(S, Theirs, Ours, Cookie),
    ?assertEqual(digest(Ours, Cookie), recv_ack(S)),
    S.

%% The whole of it as acceptor, on an accepted socket.
answer(S, Node, Cookie, Flags) ->
    Peer = recv_name(S),
    send_status(S, <<"ok">>),
    send_challenge(S, Node, Flags, 77),
    #{challenge := Theirs, digest := Digest} = recv_reply(S),
    ?assertEqual(digest(77, Cookie), Digest),
    send_ack(S, Theirs, Cookie),
    Peer.

%% -------------------------------------------------------------- connected

send_frame(S, Body) ->
    Bytes = iolist_to_binary(Body),
    send(S, <<(byte_size(Bytes)):32, Bytes/binary>>).

tick(S) ->
    send(S, <<0:32>>).

recv_frame(S) ->
    recv_frame(S, ?WAIT).

recv_frame(S, Ms) ->
    case gen_tcp:recv(S, 4, Ms) of
        {ok, <<0:32>>} -> tick;
        {ok, <<Length:32>>} ->
            {ok, Body} = gen_tcp:recv(S, Length, ?WAIT),
            Body;
        {error, Reason} -> {error, Reason}
    end.

send_ctl(S, Control) ->
    send_frame(S, [112, term_to_binary(Control)]).

send_ctl(S, Control, Payload) ->
    send_frame(S, [112, term_to_binary(Control), term_to_binary(Payload)]).

%% The next control message, ticks left out: {Control}, {Control, Payload} or
%% {error, Reason}.
recv_ctl(S) ->
    recv_ctl(S, ?WAIT).

recv_ctl(S, Ms) ->
    case recv_frame(S, Ms) of
        tick -> recv_ctl(S, Ms);
        {error, Reason} -> {error, Reason};
        <<112, Terms/binary>> ->
            {Control, Used} = binary_to_term(Terms, [used]),
            case Terms of
                <<_:Used/binary>> -> {Control};
                <<_:Used/binary, Payload/binary>> ->
                    {Control, binary_to_term(Payload)}
            end
    end.

%% The next control message with this op; others are passed over.
await_ctl(S, Op) ->
    case recv_ctl(S) of
        {error, Reason} -> error({Reason, waiting_for_op, Op});
        Got when element(1, element(1, Got)) =:= Op -> Got;
        _ -> await_ctl(S, Op)
    end.

self_pid(Node) ->
    pid(Node, 1).

pid(Node, Id) ->
    Name = atom_to_binary(Node),
    binary_to_term(<<131, 88, 119, (byte_size(Name)), Name/binary, Id:32, 0:32,
                     ?CREATION:32>>).

ref(Node, Id) ->
    Name = atom_to_binary(Node),
    binary_to_term(<<131, 90, 3:16, 119, (byte_size(Name)), Name/binary,
                     ?CREATION:32, Id:32, 2:32, 3:32>>).

%% A net_adm:ping by hand.
ping(S, Node) ->
    Tag = ref(Node, erlang:unique_integer([positive]) band 16#ffff),
    Me = self_pid(Node),
    send_ctl(S, {6, Me, '', net_kernel},
             {'$gen_call', {Me, Tag}, {is_auth, Node}}),
    {{Op, _, Me}, {Tag, yes}} = recv_ctl(S),
    ?assertEqual(22, Op),
    pong.
