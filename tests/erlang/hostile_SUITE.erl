%% SPDX-License-Identifier: Apache-2.0
%%
%% Peers that lie, break off, flood or fall silent, against one `cnode serve`.
%% Only the connection at fault may end, the log has to say why, and everybody
%% else is served all the time: a bystander process that lives through the whole
%% suite proves it after each case.
-module(hostile_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1]).
-import(raw_peer, [send_ctl/2, send_ctl/3, send_frame/2, send_hs/2,
                   recv_frame/1, recv_ctl/1, await_ctl/2, closed/2]).

-define(MAX_FRAME, 1000000).
%% For what is at fault. Silence alone ends a connection later, after 45 s at
%% the earliest, and a handshake after ten minutes.
-define(PROMPT, 30000).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [good_peer, good_peer_visible, headers_and_fragments, cache_turned_over,
     bad_control, bad_payload, bad_numbers, bad_headers, bad_fragments,
     bad_signals, every_field, every_arity, unknown_op_ends,
     known_op_is_dropped, unknown_receivers,
     frame_too_long, frame_at_limit, frame_unfinished, frames_half_sent,
     fragments_never_finished, small_between_large, peer_does_not_read,
     answers_nobody_reads, many_nodes_named,
     handshake_stops, half_open_connects, handshake_garbage, wrong_cookie,
     wrong_digest_length,
     flags_missing, version_5, bad_names, our_own_name, second_connection,
     dialled_stops, dialled_bad_answers, dialled_nok, dialled_alive,
     dialled_good, connect_option, connect_option_refused,
     simultaneous_raw_smaller, simultaneous_raw_greater,
     simultaneous_smaller, simultaneous_greater,
     unlink_protocol, unlink_from_here, link_noproc, monitor_noproc,
     spawn_badopt, spawn_reply_first, alias_unknown, traced_forms, old_forms,
     exit2_kill, altact,
     ticks].

init_per_suite(Config0) ->
    Config = cnode_test:init_suite(Config0),
    [{serve, Serve} | _] = Served = serve(["--setup-time", "600000"]),
    [{rss, cnode_test:rss(Serve)} | Served ++ Config].

serve(More) ->
    Args = ["--max-frame", integer_to_list(?MAX_FRAME) | More],
    Serve = #{node := Node} =
        cnode_test:serve(#{args => Args, global => ["-v"]}),
    Bystander = spawn(Node, cnode, loop, []),
    [{serve, Serve}, {node, Node}, {bystander, Bystander}].

%% With a node that ends a handshake after the usual time, 7 s.
with_setup_time(Fun) ->
    Config = serve([]),
    Fun(Config),
    unharmed(Config),
    cnode_test:stop(?config(serve, Config)).

end_per_suite(Config) ->
    Serve = ?config(serve, Config),
    case cnode_test:rss(Serve) of
        undefined -> ok;
        Kb ->
            ct:log("VmRSS ~p kB, at first ~p", [Kb, ?config(rss, Config)]),
            wait_until(fun() ->
                               cnode_test:rss(Serve)
                                   < ?config(rss, Config) + 150000
                       end)
    end,
    cnode_test:stop(Serve),
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    ?assertEqual(pong, net_adm:ping(?config(node, Config))),
    Config.

end_per_testcase(_, Config) ->
    unharmed(Config).

%% The connection of this node was never lost, and is served.
unharmed(Config) ->
    Pid = ?config(bystander, Config),
    Tag = make_ref(),
    Pid ! {self(), Tag},
    receive {Pid, Tag} -> ok after ?WAIT -> error(bystander_is_gone) end,
    ?assertEqual({ok, Tag},
                 gen_server:call({echo, ?config(node, Config)}, Tag, ?WAIT)),
    ?assertEqual(pong, net_adm:ping(?config(node, Config))).

%% ------------------------------------------------------------------ helpers

port(Config) ->
    maps:get(port, ?config(serve, Config)).

raw_node() ->
    cnode_test:unique_node("raw").

%% A connected raw peer: {Socket, Name, Pid}.
peer(Config) ->
    peer(Config, raw_peer:flags()).

peer(Config, Flags) ->
    Node = raw_node(),
    S = raw_peer:dial(port(Config), Node, cnode_test:cookie(), Flags),
    {S, Node, raw_peer:self_pid(Node)}.

log_size(Config) ->
    byte_size(cnode_test:stderr(?config(serve, Config))).

%% What was logged since must match. (The oracle says nothing of most of this.)
logged(Config, Since, Regex) ->
    filename:basename(filename:dirname(os:getenv("CNODE"))) =:= "oracle" orelse
        wait_until(fun() ->
                       Log = cnode_test:stderr(?config(serve, Config)),
                       New = binary:part(Log, Since, byte_size(Log) - Since),
                       match =:= re:run(New, Regex, [{capture, none}, caseless])
               end).

%% A connected peer sends this; its connection ends and the log names it.
ends(Config, What, Send) ->
    ends(Config, What, raw_peer:flags(), Send).

ends(Config, What, Flags, Send) ->
    ct:log("~p", [What]),
    Since = log_size(Config),
    {S, Node, Me} = peer(Config, Flags),
    Send(S, Me),
    ?assertEqual({true, What}, {closed(S, ?PROMPT), What}),
    logged(Config, Since, atom_to_list(Node)),
    raw_peer:close(S).

ends_frame(Config, What, Body) ->
    ends(Config, What, fun(S, _) -> send_frame(S, Body) end).

%% The same, but a peer that is believed or ignored is as good.
survives(Config, What, Send) ->
    ct:log("~p", [What]),
    {S, _, Me} = peer(Config),
    Send(S, Me),
    raw_peer:tick(S),
    raw_peer:close(S),
    unharmed(Config).

%% A process there that echoes, watched with Ref.
loop(S, Node, Me) ->
    Ref = raw_peer:ref(Node, 1),
    send_ctl(S, {29, Ref, Me, Me, {cnode, loop, 0}, [monitor]}, []),
    {{31, Ref, Me, 2, Pid}} = await_ctl(S, 31),
    {Pid, Ref}.

in_parallel(Funs) ->
    All = [spawn_monitor(F) || F <- Funs],
    [receive {'DOWN', Ref, process, Pid, R} -> ?assertEqual(normal, R) end
     || {Pid, Ref} <- All].

%% ------------------------------------------------------------- what is right

good_peer(Config) ->
    {S, Node, Me} = peer(Config),
    pong = raw_peer:ping(S, Node),
    send_ctl(S, {6, Me, '', echo}, {Me, "hi"}),
    {{22, Echo, Me}, {Echo, "hi"}} = recv_ctl(S),
    send_ctl(S, {22, Me, Echo}, {Me, 1 bsl 70}),
    {{22, Echo, Me}, {Echo, 1180591620717411303424}} = recv_ctl(S),
    raw_peer:close(S).

good_peer_visible(Config) ->
    {S, Node, _} = peer(Config, raw_peer:flags(visible)),
    pong = raw_peer:ping(S, Node),
    raw_peer:close(S).

%% Atoms new and cached, by index, in the control message and in what it
%% carries; the same cut into fragments, with other messages between them.
headers_and_fragments(Config) ->
    {S, _, Me} = peer(Config, raw_peer:flags(cache)),
    Echo = [<<104, 4, 97, 6>>, bare(Me), bare(''), <<82, 0>>],
    Hello = [<<104, 2>>, bare(Me), <<82, 1>>],
    New = <<2, 16#88, 0, 7, 4, "echo", 9, 5, "hello">>,
    Old = <<2, 16#00, 0, 7, 9>>,
    send_frame(S, [131, 68, New, Echo, Hello]),
    carries(S, <<"hello">>),
    send_frame(S, [131, 68, Old, Echo, Hello]),
    carries(S, <<>>),
    First = fun(Seq, N) ->
                send_frame(S, [<<131, 69, Seq:64, N:64>>, Old, Echo])
            end,
    First(5, 4),
    First(9, 2),
    fragment(S, 5, 3, <<104, 2>>),
    %% From here on slot 9 is another atom, but not for these two.
    send_frame(S, [131, 68, <<2, 16#80, 0, 7, 9, 3, "bye">>, Echo, Hello]),
    carries(S, <<"bye">>),
    fragment(S, 5, 2, bare(Me)),
    fragment(S, 9, 1, Hello),
    carries(S, <<>>),
    fragment(S, 5, 1, <<82, 1>>),
    carries(S, <<>>),
    raw_peer:tick(S),
    ?assertNot(closed(S, 300)),
    raw_peer:close(S).

%% The next frame that is no tick is a message with a header, and has this in
%% it; cached atoms have not.
carries(S, Bytes) ->
    case recv_frame(S) of
        tick -> carries(S, Bytes);
        <<131, 68, Rest/binary>> when Bytes =:= <<>> -> Rest;
        <<131, 68, Rest/binary>> ->
            ?assertNotEqual(nomatch, binary:match(Rest, Bytes))
    end.

%% 20 MB of atoms of the longest kind go through the 2048 slots of the cache.
cache_turned_over(Config) ->
    Before = cnode_test:rss(?config(serve, Config)),
    {S, _, Me} = peer(Config, raw_peer:flags(cache)),
    Nowhere = bare({20, Me, nobody, raw_peer:ref(raw_node(), 1)}),
    [begin
         Flags = <<<<(16#88 bor (Segment * 16#11))>>
                   || _ <- lists:seq(1, 64)>>,
         Atoms = [<<I, 255, (binary:copy(<<Char>>, 255))/binary>>
                  || I <- lists:seq(From, From + 127)],
         send_frame(S, [<<131, 68, 128>>, Flags, 0, Atoms, Nowhere])
     end || Char <- lists:seq($a, $z) ++ lists:seq($A, $M),
            Segment <- lists:seq(0, 7), From <- [0, 128]],
    unharmed(Config),
    bounded(Config, Before, 8000),
    ?assertNot(closed(S, 300)),
    raw_peer:close(S).

%% A term without the 131.
bare(Term) ->
    <<131, Bytes/binary>> = term_to_binary(Term),
    Bytes.

start_fragment(S, Seq, Count, Rest) ->
    send_frame(S, [<<131, 69, Seq:64, Count:64, 0>>, Rest]).

fragment(S, Seq, Id, Bytes) ->
    send_frame(S, [<<131, 70, Seq:64, Id:64>>, Bytes]).

%% ------------------------------------------------------------------ bad terms

bad_control(Config) ->
    [ends_frame(Config, What, Body)
     || {What, Body} <-
            [{no_term, <<112>>}, {version_only, <<112, 131>>},
             {no_version, [112, bare({99, a})]},
             {unknown_tag, <<112, 131, 255, 1, 2>>},
             {truncated, <<112, 131, 104, 3, 97, 6>>},
             {integer, <<112, 131, 97, 1>>},
             {atom, [112, term_to_binary(x)]},
             {list, [112, term_to_binary([6, 1])]},
             {binary, [112, term_to_binary(<<6>>)]},
             {empty_tuple, [112, term_to_binary({})]},
             {op_is_atom, [112, term_to_binary({reg_send, x})]},
             {op_is_bignum, [112, term_to_binary({1 bsl 100, x})]},
             {op_is_negative, [112, term_to_binary({-1, x})]},
             {compressed,
              [112, term_to_binary({6, lists:duplicate(500, 1)},
                                   [compressed])]},
             {huge_tuple, <<112, 131, 105, -1:32>>},
             {cache_ref, <<112, 131, 104, 2, 97, 2, 82, 0>>},
             {random, [112, 131, crypto:strong_rand_bytes(200)]}]].

bad_payload(Config) ->
    [ends(Config, What, fun(S, Me) ->
                                Ctl = term_to_binary({6, Me, '', echo}),
                                send_frame(S, [112, Ctl, Bytes])
                        end)
     || {What, Bytes} <-
            [{missing, <<>>}, {version_only, <<131>>},
             {no_version, <<97, 1>>}, {unknown_tag, <<131, 200>>},
             {truncated_binary, <<131, 109, 100:32, "short">>},
             {huge_list, <<131, 108, -1:32, 97, 1, 106>>},
             {huge_binary, <<131, 109, -1:32, 1>>},
             {huge_map, <<131, 116, -1:32, 97, 1>>},
             {huge_bignum, <<131, 111, -1:32, 0, 1>>},
             {no_tail, <<131, 108, 1:32, 97, 1>>},
             {bits_0, <<131, 77, 1:32, 0, 1>>},
             {bits_9, <<131, 77, 1:32, 9, 1>>},
             {nan, <<131, 70, 16#7ff8000000000000:64>>},
             {bad_utf8, <<131, 119, 1, 255>>},
             {atom_too_long, <<131, 118, 256:16, 0:2048>>},
             {pid_without_node, <<131, 88, 97, 1, 1:32, 0:32, 4:32>>},
             {ref_of_6_words, [<<131, 90, 6:16>>, bare(a), <<0:224>>]},
             {old_fun, <<131, 117, 0:32>>},
             {local_ext, <<131, 121, 0:32, 97, 1>>},
             {compressed, term_to_binary(lists:duplicate(500, 1),
                                         [compressed])},
             {deep_and_cut, [131, binary:copy(<<108, 1:32>>, 100000)]}]].

%% Right as a term, wrong as a signal of this peer. BEAM closes on each; what
%% counts here is that the node lives.
bad_signals(Config) ->
    Other = raw_peer:self_pid('other@127.0.0.1'),
    [survives(Config, What, fun(S, Me) -> Send(S, Me) end)
     || {What, Send} <-
            [{link_foreign, fun(S, _) -> send_ctl(S, {1, Other, Other}) end},
             {link_atoms, fun(S, _) -> send_ctl(S, {1, a, b}) end},
             {link_short, fun(S, Me) -> send_ctl(S, {1, Me}) end},
             {exit_foreign,
              fun(S, Me) -> send_ctl(S, {24, Other, Me}, why) end},
             {unlink_0, fun(S, Me) -> send_ctl(S, {35, 0, Me, Other}) end},
             {unlink_big,
              fun(S, Me) -> send_ctl(S, {35, 1 bsl 64, Me, Other}) end},
             {unlink_old, fun(S, Me) -> send_ctl(S, {4, Me, Other}) end},
             {node_link, fun(S, _) -> send_ctl(S, {5}) end},
             {monitor_foreign,
              fun(S, Me) -> send_ctl(S, {19, Me, Other, make_ref()}) end},
             {monitor_no_ref, fun(S, Me) -> send_ctl(S, {19, Me, echo, x}) end},
             {send_to_atom, fun(S, Me) -> send_ctl(S, {22, Me, echo}, x) end},
             {reg_send_to_pid,
              fun(S, Me) -> send_ctl(S, {6, Me, '', Me}, x) end},
             {reg_send_short, fun(S, Me) -> send_ctl(S, {6, Me}, x) end},
             {spawn_short, fun(S, Me) -> send_ctl(S, {29, Me}, x) end},
             {spawn_bad_mfa,
              fun(S, Me) -> send_ctl(S, {29, make_ref(), Me, Me, x, []}, [])
              end},
             {spawn_bad_args,
              fun(S, Me) -> send_ctl(S, {29, make_ref(), Me, Me,
                                         {cnode, loop, 0}, []}, not_a_list)
              end},
             {spawn_improper,
              fun(S, Me) -> send_ctl(S, {29, make_ref(), Me, Me,
                                         {cnode, echo, 1}, [link | x]}, [1])
              end},
             {erpc_bad_args,
              fun(S, Me) -> send_ctl(S, {29, make_ref(), Me, Me,
                                         {erpc, execute_call, 4}, [monitor]},
                                     [x, 1, 2, [3 | 4]]) end},
             {spawn_reply_unasked,
              fun(S, Me) -> send_ctl(S, {31, make_ref(), Me, 3, Me}) end},
             {rex_nonsense,
              fun(S, Me) -> send_ctl(S, {6, Me, '', rex}, {Me, {call, 1}}) end},
             {gen_call_nonsense,
              fun(S, Me) -> send_ctl(S, {6, Me, '', echo},
                                     {'$gen_call', {Me, [alias | x]}, y}) end},
             {io_request_nonsense,
              fun(S, Me) -> send_ctl(S, {6, Me, '', echo},
                                     {io_request, x, y, z}) end},
             {global_nonsense,
              fun(S, Me) -> send_ctl(S, {6, Me, '', global_name_server},
                                     {'$gen_cast', {init_connect, x}}) end}]].

%% Each control message as it should be: tuple, payload or none, and the kinds of
%% its elements behind the number. Its receivers are not there.
right_ones(Me, Node) ->
    There = raw_peer:pid(Node, 16#7ffffff),
    Ref = raw_peer:ref(raw_node(), 7),
    Token = {0, label, 1, Me, 0},
    MFA = {no_such, function, 0},
    [{{1, Me, There}, none, [pid, pid]},
     {{2, '', There}, x, [any, pid]},
     {{3, Me, There, why}, none, [pid, pid, any]},
     {{6, Me, '', nobody}, x, [pid, any, atom]},
     {{7, Me, There}, none, [pid, pid]},
     {{8, Me, There, why}, none, [pid, pid, any]},
     {{12, '', There, Token}, x, [any, pid, any]},
     {{13, Me, There, Token, why}, none, [pid, pid, any, any]},
     {{16, Me, '', nobody, Token}, x, [pid, any, atom, any]},
     {{18, Me, There, Token, why}, none, [pid, pid, any, any]},
     {{19, Me, There, Ref}, none, [pid, pid_or_atom, ref]},
     {{20, Me, There, Ref}, none, [pid, pid_or_atom, ref]},
     {{21, Me, There, Ref, why}, none, [pid_or_atom, pid, ref, any]},
     {{22, Me, There}, x, [pid, pid]},
     {{23, Me, There, Token}, x, [pid, pid, any]},
     {{24, Me, There}, why, [pid, pid]},
     {{25, Me, There, Token}, why, [pid, pid, any]},
     {{26, Me, There}, why, [pid, pid]},
     {{27, Me, There, Token}, why, [pid, pid, any]},
     {{28, Me, There, Ref}, why, [pid_or_atom, pid, ref]},
     {{29, Ref, Me, Me, MFA, []}, [], [ref, pid, pid, mfa, any]},
     {{30, Ref, Me, Me, MFA, [], Token}, [], [ref, pid, pid, mfa, any, any]},
     {{31, Ref, There, 0, Me}, none, [ref, pid, number, pid_or_atom]},
     {{32, Ref, There, 0, Me, Token}, none,
      [ref, pid, number, pid_or_atom, any]},
     {{33, Me, Ref}, x, [pid, ref]},
     {{34, Me, Ref, Token}, x, [pid, ref, any]},
     {{35, 1, Me, There}, none, [number, pid, pid]},
     {{36, 1, Me, There}, none, [number, pid, pid]},
     {{37, 0, Me, There}, x, [bits, pid, pid]},
     {{37, 4, Me, Ref}, x, [bits, pid, ref]},
     {{37, 9, Me, nobody}, x, [bits, pid, atom]},
     {{37, 17, Me, There}, x, [bits, pid, pid]},
     {{37, 2, Me, There, Token}, x, [bits, pid, pid, any]}].

%% What may stand there, whatever it is, is left out.
wrong(Kind, Me) ->
    Good = case Kind of
               any -> [atom, number, large, pid, ref, other];
               pid_or_atom -> [pid, atom];
               bits -> [number, large];
               _ -> [Kind]
           end,
    [V || {K, V} <- [{atom, ''}, {atom, x}, {number, 0}, {number, 1 bsl 63},
                     {other, -1}, {large, 1 bsl 64}, {other, 1.5},
                     {pid, Me}, {ref, raw_peer:ref(raw_node(), 9)},
                     {other, hd(erlang:ports())}, {other, fun lists:map/2},
                     {other, []}, {other, "text"}, {other, [a | b]},
                     {other, {}}, {other, {m, f}}, {other, {m, f, x}},
                     {other, {1, f, 0}}, {other, #{}}, {other, <<>>},
                     {other, <<1:3>>}],
          not lists:member(K, Good)].

%% The frame; Control may have an element that is no term of its kind.
frame_of(Control, none) ->
    [112, term_to_binary(Control)];
frame_of(Control, Payload) ->
    [frame_of(Control, none), term_to_binary(Payload)].

%% Each element of each control message, as everything that it may not be: that
%% connection ends. (Erlang closes for less: it does not look at what it does not
%% need.) As they should be, none harms.
every_field(Config) ->
    {S, Node, Self} = peer(Config, raw_peer:flags() bor (1 bsl 37)),
    [send_frame(S, frame_of(Ctl, Payload))
     || {Ctl, Payload, _} <- right_ones(Self, ?config(node, Config))],
    send_ctl(S, {6, Self, '', echo}, {Self, Node}),
    ?assertMatch({_, {_, Node}}, await_ctl(S, 22)),
    raw_peer:close(S),
    each_ends(Config,
              fun(Me, {Ctl, Payload, Kinds}) ->
                      [{{element(1, Ctl), At, Wrong},
                        frame_of(setelement(At + 1, Ctl, Wrong), Payload)}
                       || {At, Kind} <- lists:zip(
                                          lists:seq(1, length(Kinds)), Kinds),
                          Wrong <- wrong(Kind, Me)]
              end).

%% Each with an element less or more, cut, or without what it should carry. (Op
%% 37 may grow.)
every_arity(Config) ->
    each_ends(Config, fun(_, {Ctl, Payload, _}) -> deformed(Ctl, Payload) end).

deformed(Ctl, Payload) ->
    Op = element(1, Ctl),
    Fewer = erlang:delete_element(tuple_size(Ctl), Ctl),
    More = erlang:append_element(Ctl, x),
    Whole = iolist_to_binary(frame_of(Ctl, none)),
    [{{Op, fewer}, frame_of(Fewer, Payload)}]
        ++ [{{Op, more}, frame_of(More, Payload)} || Op =/= 37]
        ++ [{{Op, no_payload}, frame_of(Ctl, none)} || Payload =/= none]
        ++ [{{Op, cut, N}, binary:part(Whole, 0, N)}
            || N <- [byte_size(Whole) - 1, byte_size(Whole) div 2]].

%% Of each control message all that Spoil makes of it, each on a connection of
%% its own, several at once.
each_ends(Config, Spoil) ->
    Here = ?config(node, Config),
    Spoilt = fun(Node, Row) ->
                     Me = raw_peer:self_pid(Node),
                     Spoil(Me, lists:nth(Row, right_ones(Me, Here)))
             end,
    Rows = lists:seq(1, length(right_ones(raw_peer:self_pid(raw_node()),
                                          Here))),
    All = [{Row, I} || Row <- Rows,
                       I <- lists:seq(1, length(Spoilt(raw_node(), Row)))],
    ct:log("~p frames", [length(All)]),
    in_parallel([fun() -> [ends_by(Config, Spoilt, Row, I)
                           || {N, {Row, I}} <- lists:zip(
                                                 lists:seq(1, length(All)),
                                                 All),
                              N rem 4 =:= Lane]
                 end || Lane <- lists:seq(0, 3)]),
    unharmed(Config).

ends_by(Config, Spoilt, Row, I) ->
    {S, Node, _} = peer(Config, raw_peer:flags() bor (1 bsl 37)),
    {What, Frame} = lists:nth(I, Spoilt(Node, Row)),
    send_frame(S, Frame),
    ?assertEqual({true, What}, {closed(S, ?PROMPT), What}),
    raw_peer:close(S).

%% Numbers at the edges of what fits somewhere.
bad_numbers(Config) ->
    [survives(Config, What, fun(S, Me) -> send_ctl(S, {6, Me, '', To}, M) end)
     || {What, To, M} <-
            [{sleep_negative, rex, {x, {call, cnode, sleep, [-1], x}}},
             {to_long_name, list_to_atom(lists:duplicate(255, $n)), x},
             {deep, echo, lists:foldl(fun(_, T) -> [T] end, [],
                                      lists:seq(1, 100000))},
             {wide, echo, list_to_tuple(lists:seq(1, 100000))}]],
    Node = ?config(node, Config),
    ?assertError({exception, _, _}, erpc:call(Node, cnode, sleep, [-1])),
    ?assertError({exception, _, _}, erpc:call(Node, cnode, sleep, [x])).

%% Distribution headers: with them negotiated everything starts with 131.
bad_headers(Config) ->
    Flags = raw_peer:flags(cache),
    [ends(Config, What, Flags, fun(S, _) -> send_frame(S, Body) end)
     || {What, Body} <-
            [{pass_through, [112, term_to_binary({99, a})]},
             {unknown_type, <<131, 99, 0>>}, {only_131, <<131>>},
             {no_count, <<131, 68>>},
             {no_refs, <<131, 68, 5>>},
             {refs_cut, <<131, 68, 255, 0:1000>>},
             {empty_slot, [<<131, 68, 1, 16#00, 7>>, bare({99, x})]},
             {atom_cut, <<131, 68, 1, 16#08, 7, 200, "abc">>},
             {atom_bad_utf8, [<<131, 68, 1, 16#08, 7, 1, 255>>,
                              bare({99, x})]},
             {ref_beyond, <<131, 68, 0, 104, 2, 97, 2, 82, 0>>},
             {version_after_header, [<<131, 68, 0>>,
                                     term_to_binary({99, a})]}]].

bad_fragments(Config) ->
    Flags = raw_peer:flags(fragments),
    Ctl = fun(Me) -> bare({6, Me, '', echo}) end,
    [ends(Config, What, Flags, Send)
     || {What, Send} <-
            [{unknown_sequence, fun(S, _) -> fragment(S, 7, 1, "x") end},
             {gap, fun(S, Me) -> start_fragment(S, 7, 5, Ctl(Me)),
                                 fragment(S, 7, 3, "x") end},
             {repeated, fun(S, Me) -> start_fragment(S, 7, 5, Ctl(Me)),
                                      fragment(S, 7, 4, "x"),
                                      fragment(S, 7, 4, "x") end},
             {twice_started, fun(S, Me) -> start_fragment(S, 7, 5, Ctl(Me)),
                                           start_fragment(S, 7, 5, Ctl(Me))
                             end},
             {count_0, fun(S, Me) -> start_fragment(S, 7, 0, Ctl(Me)) end},
             {control_cut, fun(S, _) -> start_fragment(S, 7, 2, [104, 3]) end},
             {header_cut, fun(S, _) -> send_frame(S, <<131, 69, 1:64>>) end},
             {bad_payload, fun(S, Me) -> start_fragment(S, 7, 2, Ctl(Me)),
                                         fragment(S, 7, 1, [255]) end}]].

%% As from Erlang: what comes after a number that nobody knows cannot be
%% trusted. The log has the number.
unknown_op_ends(Config) ->
    [begin
         Since = log_size(Config),
         ends(Config, Op, fun(S, _) -> Send(S, Op) end),
         logged(Config, Since, "\\b" ++ integer_to_list(Op) ++ "\\b")
     end || {Send, Ops} <-
                [{fun(S, Op) -> send_ctl(S, {Op, x, y}) end,
                  [0, 9, 38, 99, 250, 256, 1 bsl 40]},
                 {fun(S, Op) -> send_ctl(S, {Op, x}, with_a_payload) end,
                  [251]}],
            Op <- Ops].

%% What the protocol knows and this node does nothing with.
known_op_is_dropped(Config) ->
    Since = log_size(Config),
    {S, Node, Me} = peer(Config),
    {Pid, _} = loop(S, Node, Me),
    [send_ctl(S, Ctl) || Ctl <- [{4, Me, Pid}, {5}]],
    pong = raw_peer:ping(S, Node),
    [logged(Config, Since, Name)
     || Name <- ["\\bUNLINK\\b", "NODE_LINK"]],
    raw_peer:close(S).

%% Nothing that is addressed to nobody is an error.
unknown_receivers(Config) ->
    {S, Node, Me} = peer(Config),
    {Pid, Ref} = loop(S, Node, Me),
    send_ctl(S, {22, Me, Pid}, {exit, normal}),
    {{28, Pid, Me, Ref}, normal} = await_ctl(S, 28),
    Gone = raw_peer:ref(Node, 999),
    send_ctl(S, {22, Me, Pid}, x),
    send_ctl(S, {6, Me, '', no_such_name}, x),
    send_ctl(S, {24, Me, Pid}, why),
    send_ctl(S, {26, Me, Pid}, kill),
    send_ctl(S, {20, Me, Pid, Gone}),
    send_ctl(S, {20, Me, echo, Gone}),
    send_ctl(S, {28, Me, Pid, Gone}, why),
    send_ctl(S, {36, 17, Me, Pid}),
    send_ctl(S, {7, Me, Pid}),
    pong = raw_peer:ping(S, Node),
    raw_peer:close(S).

%% ------------------------------------------------------------ sizes, slowness

frame_too_long(Config) ->
    [ends(Config, Length, fun(S, _) -> raw_peer:send(S, <<Length:32>>) end)
     || Length <- [16#ffffffff, 16#80000000, 16#7fffffff, ?MAX_FRAME + 1]].

frame_at_limit(Config) ->
    {S, Node, Me} = peer(Config),
    Ctl = term_to_binary({6, Me, '', sink}),
    Room = ?MAX_FRAME - 1 - byte_size(Ctl) - 6,
    send_frame(S, [112, Ctl, <<131, 109, Room:32, 0:(8 * Room)>>]),
    pong = raw_peer:ping(S, Node),
    raw_peer:close(S).

%% A frame that is begun and not ended holds up nobody.
frame_unfinished(Config) ->
    All = [{S, _, _} | _] = [peer(Config) || _ <- [1, 2, 3]],
    [raw_peer:send(P, <<1000:32, 112, 131>>) || {P, _, _} <- All],
    unharmed(Config),
    ?assertNot(closed(S, 300)),
    [raw_peer:close(P) || {P, _, _} <- All],
    unharmed(Config).

%% What is announced must not be reserved.
frames_half_sent(Config) ->
    Before = cnode_test:rss(?config(serve, Config)),
    All = [peer(Config) || _ <- lists:seq(1, 100)],
    [raw_peer:send(S, [<<(?MAX_FRAME - 1):32>>, lists:duplicate(1000, 112)])
     || {S, _, _} <- All],
    unharmed(Config),
    bounded(Config, Before, 50000),
    [raw_peer:close(S) || {S, _, _} <- All].

bounded(_, undefined, _) ->
    ok;
bounded(Config, Before, Kb) ->
    After = cnode_test:rss(?config(serve, Config)),
    ct:log("VmRSS ~p -> ~p kB", [Before, After]),
    ?assert(After < Before + Kb).

%% Sequences that never end, of 200 MB and of nothing: refused at some point, by
%% their bytes (four times the longest frame) and by their number (4,096).
fragments_never_finished(Config) ->
    Before = cnode_test:rss(?config(serve, Config)),
    [begin
         Since = log_size(Config),
         ends(Config, What, raw_peer:flags(fragments),
              fun(S, Me) ->
                      Start = [bare({6, Me, '', echo}),
                               binary:copy(<<0>>, Size)],
                      [start_fragment(S, Seq, 9, Start)
                       || Seq <- lists:seq(1, 20000)]
              end),
         logged(Config, Since, Why)
     end || {What, Size, Why} <- [{bytes, 10000, "limit of 4000000 bytes"},
                                  {number, 0, "limit of 4096"}]],
    unharmed(Config),
    bounded(Config, Before, 60000).

%% A process there sends 18 MB to a peer that does not read yet, in messages that
%% are large, in fragments or whole; what another one says then comes between
%% them, not behind.
small_between_large(Config) ->
    {S, Node, Me} = peer(Config, raw_peer:flags(fragments)),
    Send = fun(Ctl, Payload) ->
                   send_frame(S, [<<131, 68, 0>>, bare(Ctl), bare(Payload)])
           end,
    [Send({6, Me, '', echo}, {Me, <<N, 0:7200000>>}) || N <- lists:seq(1, 20)],
    Send({29, raw_peer:ref(Node, 1), Me, Me, {cnode, loop, 0}, []}, []),
    %% All of that has been answered.
    Send({6, Me, '', echo}, {self(), taken}),
    receive {_, taken} -> ok end,
    Order = [large_or_small(S) || _ <- lists:seq(1, 21)],
    ct:log("~p", [Order]),
    ?assertEqual(lists:duplicate(20, large), Order -- [small]),
    ?assertNotEqual(small, lists:last(Order)),
    Send({6, Me, '', echo}, {Me, still_there}),
    carries(S, <<"still_there">>),
    raw_peer:close(S).

%% What is complete next.
large_or_small(S) ->
    case recv_frame(S) of
        <<131, Kind, _:64, 1:64, _/binary>> when Kind =:= 69; Kind =:= 70 ->
            large;
        <<131, 68, _/binary>> = Frame when byte_size(Frame) > 100000 -> large;
        <<131, 68, _/binary>> -> small;
        Frame when is_binary(Frame); Frame =:= tick -> large_or_small(S)
    end.

%% It asks for 50 MB and reads none of it.
peer_does_not_read(Config) ->
    {S, _, Me} = peer(Config),
    Echo = term_to_binary({6, Me, '', echo}),
    Big = term_to_binary({Me, <<0:4000000>>}),
    spawn_link(fun() ->
                       [send_frame(S, [112, Echo, Big])
                        || _ <- lists:seq(1, 100)]
               end),
    [unharmed(Config) || _ <- lists:seq(1, 20)],
    raw_peer:close(S).

%% What is queued for it has an end (256 MiB), and what is lost is said.
answers_nobody_reads(Config) ->
    {S, Node, Me} = peer(Config),
    Since = log_size(Config),
    Echo = term_to_binary({6, Me, '', echo}),
    Big = term_to_binary({Me, <<0:7200000>>}),
    spawn_link(fun() ->
                       [send_frame(S, [112, Echo, Big])
                        || _ <- lists:seq(1, 350)]
               end),
    logged(Config, Since, ["an answer is lost: ", atom_to_list(Node),
                           ": too much is queued"]),
    unharmed(Config),
    raw_peer:close(S).

%% One peer has answers sent to thousands of nodes: the others are served, and
%% there are descriptors left.
many_nodes_named(Config) ->
    {S, _, Me} = peer(Config),
    Since = log_size(Config),
    Echo = term_to_binary({6, Me, '', echo}),
    send_frame(S, [112, Echo, term_to_binary({Me, first})]),
    {{22, _, Me}, {_, first}} = await_ctl(S, 22),
    Frames = [[<<(iolist_size(B)):32>>, B]
              || N <- lists:seq(1, 5000),
                 B <- [[112, Echo, term_to_binary({named(N), N})]]],
    raw_peer:send(S, Frames),
    [begin
         unharmed(Config),
         ?assert(descriptors(Config) < 400)
     end || _ <- lists:seq(1, 20)],
    logged(Config, Since, "is not connected to: 256 attempts"),
    raw_peer:close(S).

named(N) ->
    raw_peer:self_pid(list_to_atom(lists:concat(["named", N, "@127.0.0.1"]))).

descriptors(Config) ->
    #{os_pid := OsPid} = ?config(serve, Config),
    {ok, Fds} = file:list_dir(lists:concat(["/proc/", OsPid, "/fd"])),
    length(Fds).

%% ------------------------------------------------------------------ handshake

%% The peer stops at each step; all at the same time, it takes seconds.
handshake_stops(_) ->
    with_setup_time(fun handshakes_stop/1).

handshakes_stop(Config) ->
    Port = port(Config),
    Name = fun(S) -> raw_peer:send_name(S, raw_node()) end,
    Steps =
        [{nothing, fun(_) -> ok end},
         {half_length, fun(S) -> raw_peer:send(S, <<0>>) end},
         {only_length, fun(S) -> raw_peer:send(S, <<30:16>>) end},
         {half_name, fun(S) -> raw_peer:send(S, <<30:16, $N, 0:64>>) end},
         {after_name, Name},
         {after_challenge, fun(S) -> Name(S), <<"ok">> = raw_peer:recv_status(S),
                                     #{} = raw_peer:recv_challenge(S) end},
         {half_reply, fun(S) -> Name(S),
                                raw_peer:send(S, <<21:16, $r, 0:64>>) end}],
    in_parallel([fun() ->
                         S = raw_peer:connect(Port),
                         Do(S),
                         ?assertEqual({true, What}, {closed(S, ?WAIT), What})
                 end || {What, Do} <- Steps] ++
                    [fun() -> [begin unharmed(Config),
                                     receive after 200 -> ok end end
                               || _ <- lists:seq(1, 20)] end]).

%% As many as there can be connect, and say nothing, or not enough: the others
%% are served, and it costs little. Some say one byte after the other, which
%% buys them no time. All are gone when the setup time is over.
half_open_connects(_) ->
    Config = serve(["--setup-time", "4000"]),
    Served = descriptors(Config),
    Before = cnode_test:rss(?config(serve, Config)),
    Count = min(10000, most_descriptors() div 2),
    Begin = [<<>>, <<0>>, <<30:16>>, <<30:16, $N, 0:64>>],
    Me = self(),
    Slow = [spawn_link(fun() -> Me ! {self(), trickle(Config)} end)
            || _ <- lists:seq(1, 5)],
    All = [begin
               S = raw_peer:connect(port(Config)),
               raw_peer:send(S, lists:nth(I rem 4 + 1, Begin)),
               S
           end || I <- lists:seq(1, Count)],
    unharmed(Config),
    ct:log("~p connections, ~p descriptors there",
           [Count, descriptors(Config)]),
    bounded(Config, Before, 60000),
    [receive {P, Closed} -> ?assert(Closed) end || P <- Slow],
    [?assert(closed(S, ?PROMPT)) || S <- All],
    [raw_peer:close(S) || S <- All],
    wait_until(fun() -> descriptors(Config) =< Served end),
    unharmed(Config),
    [receive {'EXIT', P, R} -> ?assertEqual(normal, R) end || P <- Slow],
    cnode_test:stop(?config(serve, Config)).

most_descriptors() ->
    {max_fds, Most} = lists:keyfind(max_fds, 1, hd(erlang:system_info(
                                                     check_io))),
    Most.

%% A name, two bytes a second, which would take half a minute: true if the
%% connection is closed before it is whole.
trickle(Config) ->
    S = raw_peer:connect(port(Config)),
    Name = atom_to_binary(raw_node()),
    Message = <<$N, (raw_peer:flags()):64, 4:32, (byte_size(Name)):16,
                Name/binary>>,
    trickle(S, <<(byte_size(Message)):16, Message/binary>>).

trickle(_, <<>>) ->
    false;
trickle(S, <<Byte, Rest/binary>>) ->
    raw_peer:send(S, <<Byte>>),
    closed(S, 500) orelse trickle(S, Rest).

%% Things that are no handshake at all.
handshake_garbage(_) ->
    with_setup_time(fun garbage/1).

garbage(Config) ->
    Port = port(Config),
    Since = log_size(Config),
    Bytes = [<<"GET / HTTP/1.1\r\nHost: x\r\n\r\n">>,
             <<16#16, 16#03, 16#01, 0, 5, 1, 0, 0, 1, 3>>,
             <<"SSH-2.0-OpenSSH_9.2\r\n">>, <<0:16>>, <<1:16, 0>>,
             <<2:16, $N, 0>>, <<14:16, $N, 0:64, 0:32>>,
             <<5:16, "xyz12">>, <<16#ffff:16, 0:524280>>,
             crypto:strong_rand_bytes(1000),
             <<21:16, $r, 0:160>>, <<3:16, "sok">>],
    in_parallel([fun() ->
                         S = raw_peer:connect(Port),
                         raw_peer:send(S, B),
                         ?assertEqual({true, B}, {closed(S, ?WAIT), B})
                 end || B <- Bytes]),
    logged(Config, Since, "handshake|127\\.0\\.0\\.1").

wrong_cookie(Config) ->
    Since = log_size(Config),
    Node = raw_node(),
    S = raw_peer:connect(port(Config)),
    raw_peer:send_name(S, Node),
    <<"ok">> = raw_peer:recv_status(S),
    #{challenge := C} = raw_peer:recv_challenge(S),
    raw_peer:send_reply(S, C, 1, "wrong"),
    ?assertEqual({error, closed}, raw_peer:recv_ack(S)),
    logged(Config, Since, atom_to_list(Node) ++ ".*cookie|cookie.*" ++
               atom_to_list(Node)).

wrong_digest_length(Config) ->
    [begin
         S = raw_peer:connect(port(Config)),
         raw_peer:send_name(S, raw_node()),
         <<"ok">> = raw_peer:recv_status(S),
         #{} = raw_peer:recv_challenge(S),
         send_hs(S, Reply),
         ?assert(closed(S, ?PROMPT))
     end || Reply <- [<<$r, 1:32, 0:120>>, <<$r, 1:32>>, <<$r>>, <<>>,
                      <<$x, 1:32, 0:128>>, <<$a, 0:128>>]].

%% Without a mandatory flag: `not_allowed`, and the log says so.
flags_missing(Config) ->
    [begin
         Since = log_size(Config),
         S = raw_peer:connect(port(Config)),
         Node = raw_node(),
         raw_peer:send_name(S, Node, Flags, 5),
         ?assertEqual(<<"not_allowed">>, raw_peer:recv_status(S)),
         ?assert(closed(S, ?PROMPT)),
         logged(Config, Since, atom_to_list(Node))
     end || Flags <- [0, 1 bsl 24,
                      (raw_peer:flags() bxor (1 bsl 17)) bxor (1 bsl 26)]].

%% Protocol 5 of OTP 22 and before is refused with a word in the log; the same
%% message of OTP 23 and 24, which speak version 6, may be answered.
version_5(Config) ->
    Since = log_size(Config),
    Node = raw_node(),
    Old = fun(Flags) ->
                  S = raw_peer:connect(port(Config)),
                  send_hs(S, <<$n, 5:16, Flags:32,
                               (atom_to_binary(Node))/binary>>),
                  S
          end,
    Refused = Old(16#7df7fbc band bnot ((1 bsl 24) bor (1 bsl 26))),
    ?assert(closed(Refused, ?PROMPT)),
    logged(Config, Since, "version|OTP|flag|old|proto"),
    S = Old(16#7df7fbc),
    case raw_peer:recv_status(S) of
        <<"ok">> ->
            #{challenge := C} = raw_peer:recv_challenge(S),
            send_hs(S, <<$c, 16#d:32, 77:32>>),
            raw_peer:send_reply(S, C, 9, cnode_test:cookie()),
            ?assertEqual(raw_peer:digest(9, cnode_test:cookie()),
                         raw_peer:recv_ack(S));
        _ ->
            ?assert(closed(S, ?PROMPT))
    end,
    raw_peer:close(S).

bad_names(Config) ->
    [begin
         S = raw_peer:connect(port(Config)),
         send_hs(S, <<$N, (raw_peer:flags()):64, 5:32, (Length(Name)):16,
                      Name/binary>>),
         ?assertNotMatch({<<"ok">>, _}, {raw_peer:recv_status(S), Name}),
         ?assert(closed(S, ?PROMPT))
     end || {Name, Length} <-
                [{N, fun byte_size/1}
                 || N <- [<<>>, <<"x">>, <<"@">>, <<"x@">>, <<"@h">>,
                          <<"a@b@c">>, <<"a", 0, "@h">>, <<"a\nb@h">>,
                          <<0:24000>>]]
                    ++ [{<<"a@h">>, fun(_) -> 16#ffff end},
                        {<<"a@h">>, fun(_) -> 4 end}]].

our_own_name(Config) ->
    S = raw_peer:connect(port(Config)),
    raw_peer:send_name(S, ?config(node, Config)),
    ?assertNotEqual(<<"ok">>, raw_peer:recv_status(S)),
    ?assert(closed(S, ?PROMPT)).

%% The same name twice: the node asks whether the old connection is dead.
second_connection(Config) ->
    {One, Node, _} = peer(Config),
    Since = log_size(Config),
    Two = raw_peer:connect(port(Config)),
    raw_peer:send_name(Two, Node),
    ?assertEqual(<<"alive">>, raw_peer:recv_status(Two)),
    raw_peer:send_status(Two, <<"false">>),
    ?assert(closed(Two, ?PROMPT)),
    logged(Config, Since, atom_to_list(Node) ++ ".*its other connection"),
    pong = raw_peer:ping(One, Node),
    %% Whoever only says that name does not get rid of the other.
    Liar = raw_peer:connect(port(Config)),
    raw_peer:send_name(Liar, Node),
    ?assertEqual(<<"alive">>, raw_peer:recv_status(Liar)),
    raw_peer:send_status(Liar, <<"true">>),
    #{challenge := C} = raw_peer:recv_challenge(Liar),
    raw_peer:send_reply(Liar, C, 1, "wrong"),
    ?assertEqual({error, closed}, raw_peer:recv_ack(Liar)),
    pong = raw_peer:ping(One, Node),
    Three = raw_peer:connect(port(Config)),
    raw_peer:send_name(Three, Node),
    ?assertEqual(<<"alive">>, raw_peer:recv_status(Three)),
    raw_peer:send_status(Three, <<"true">>),
    raw_peer:finish_dial(Three, cnode_test:cookie(), 3),
    ?assert(closed(One, ?PROMPT)),
    pong = raw_peer:ping(Three, Node),
    raw_peer:close(Three).

%% -------------------------------------------------- when the node dials itself

%% Registers a raw node, makes `echo` send to it, and accepts: {Socket, Name}.
dialled(Config) ->
    dialled(Config, raw_node()).

dialled(Config, Node) ->
    {L, Port} = raw_peer:listen(),
    {ok, Epmd, _} = raw_peer:register(Node, Port, 72),
    {echo, ?config(node, Config)} ! {raw_peer:self_pid(Node), dial},
    S = raw_peer:accept(L),
    raw_peer:close(L),
    {S, Node, Epmd}.

dialled_good(Config) ->
    {S, Node, _} = dialled(Config),
    Cookie = cnode_test:cookie(),
    Peer = raw_peer:answer(S, Node, Cookie, raw_peer:flags()),
    ?assertEqual(?config(node, Config), maps:get(name, Peer)),
    ?assertMatch({_, {_, dial}}, recv_ctl(S)),
    pong = raw_peer:ping(S, Node),
    raw_peer:close(S).

dialled_stops(_) ->
    with_setup_time(fun dialled_ones_stop/1).

dialled_ones_stop(Config) ->
    Steps =
        [{nothing, fun(_, _) -> ok end},
         {half_status, fun(S, _) -> raw_peer:send(S, <<3:16, "s">>) end},
         {after_status, fun(S, _) -> raw_peer:send_status(S, <<"ok">>) end},
         {half_challenge, fun(S, _) -> raw_peer:send_status(S, <<"ok">>),
                                       raw_peer:send(S, <<30:16, $N>>) end},
         {after_reply,
          fun(S, Node) ->
                  raw_peer:send_status(S, <<"ok">>),
                  raw_peer:send_challenge(S, Node, raw_peer:flags(), 1),
                  #{} = raw_peer:recv_reply(S)
          end},
         {half_ack,
          fun(S, Node) ->
                  raw_peer:send_status(S, <<"ok">>),
                  raw_peer:send_challenge(S, Node, raw_peer:flags(), 1),
                  raw_peer:send(S, <<17:16, $a, 0>>)
          end}],
    in_parallel([fun() ->
                         {S, Node, _} = dialled(Config),
                         #{} = raw_peer:recv_name(S),
                         Do(S, Node),
                         ?assertEqual({true, What}, {closed(S, ?WAIT), What})
                 end || {What, Do} <- Steps]).

%% Each answer ends the attempt at once, and the log names the peer.
dialled_bad_answers(Config) ->
    Ok = fun(S) -> raw_peer:send_status(S, <<"ok">>) end,
    Flags = raw_peer:flags(),
    Answers =
        [{not_allowed, fun(S, _) -> raw_peer:send_status(S, <<"not_allowed">>)
                       end},
         {unknown_status, fun(S, _) -> raw_peer:send_status(S, <<"perhaps">>)
                          end},
         {named_unasked,
          fun(S, _) -> raw_peer:send_status(S, <<"named:", 3:16, "a@b", 9:32>>)
          end},
         {long_status,
          fun(S, _) -> raw_peer:send_status(S, binary:copy(<<"x">>, 60000))
          end},
         {empty, fun(S, _) -> send_hs(S, <<>>) end},
         {http, fun(S, _) -> raw_peer:send(S, "HTTP/1.1 400 Bad\r\n\r\n"),
                             gen_tcp:shutdown(S, write) end},
         {wrong_name, fun(S, _) -> Ok(S), raw_peer:send_challenge(
                                            S, 'wrong@127.0.0.1', Flags, 1) end},
         {no_flags, fun(S, N) -> Ok(S), raw_peer:send_challenge(S, N, 0, 1) end},
         {short_challenge, fun(S, _) -> Ok(S), send_hs(S, <<$N, 0:64>>) end},
         {name_too_long, fun(S, _) -> Ok(S),
                                      send_hs(S, <<$N, Flags:64, 1:32, 5:32,
                                                   200:16, "a@b">>) end},
         {wrong_tag, fun(S, _) -> Ok(S), send_hs(S, <<$x, 0:200>>) end},
         {closed_after_reply,
          fun(S, N) -> Ok(S), raw_peer:send_challenge(S, N, Flags, 1),
                       #{} = raw_peer:recv_reply(S),
                       gen_tcp:shutdown(S, write) end},
         {wrong_ack, fun(S, N) -> Ok(S), raw_peer:send_challenge(S, N, Flags, 1),
                                  #{} = raw_peer:recv_reply(S),
                                  send_hs(S, <<$a, 0:128>>) end},
         {short_ack, fun(S, N) -> Ok(S), raw_peer:send_challenge(S, N, Flags, 1),
                                  #{} = raw_peer:recv_reply(S),
                                  send_hs(S, <<$a, 0:64>>) end}],
    [begin
         ct:log("~p", [What]),
         Since = log_size(Config),
         {S, Node, Epmd} = dialled(Config),
         #{} = raw_peer:recv_name(S),
         Do(S, Node),
         ?assertEqual({true, What}, {closed(S, ?PROMPT), What}),
         logged(Config, Since, atom_to_list(Node)),
         raw_peer:unregister(Epmd)
     end || {What, Do} <- Answers].

%% `nok` without an attempt of the peer's own: given up after the setup time.
dialled_nok(_) ->
    with_setup_time(fun(Config) ->
                            {S, _, _} = dialled(Config),
                            #{} = raw_peer:recv_name(S),
                            raw_peer:send_status(S, <<"nok">>),
                            ?assert(closed(S, ?WAIT))
                    end).

%% `alive`: the answer is true (then the handshake goes on) or false.
dialled_alive(Config) ->
    {S, Node, _} = dialled(Config),
    #{} = raw_peer:recv_name(S),
    raw_peer:send_status(S, <<"alive">>),
    case raw_peer:recv_status(S) of
        <<"true">> ->
            raw_peer:send_challenge(S, Node, raw_peer:flags(), 5),
            #{challenge := C} = raw_peer:recv_reply(S),
            raw_peer:send_ack(S, C, cnode_test:cookie()),
            ?assertMatch({_, {_, dial}}, recv_ctl(S));
        <<"false">> ->
            ?assert(closed(S, ?PROMPT))
    end,
    raw_peer:close(S).

connect_option(_) ->
    with_connect(fun(S, Node, Serve) ->
                         raw_peer:answer(S, Node, cnode_test:cookie(),
                                         raw_peer:flags()),
                         pong = raw_peer:ping(S, Node),
                         Ready = cnode_test:ready(Serve),
                         raw_peer:close(S),
                         cnode_test:stop(Ready)
                 end).

%% A peer of --connect that says no is named in the log. Whether the node goes on
%% alone is its own choice; it must not crash.
connect_option_refused(_) ->
    with_connect(fun(S, Node, Serve) ->
                         #{} = raw_peer:recv_name(S),
                         raw_peer:send_status(S, <<"not_allowed">>),
                         ?assert(closed(S, ?PROMPT)),
                         wait_until(fun() ->
                                            string:find(cnode_test:stderr(Serve),
                                                        atom_to_list(Node))
                                                =/= nomatch
                                    end),
                         cnode_test:signal(Serve, "TERM"),
                         ?assert(lists:member(cnode_test:status(Serve),
                                              [0, 3, 4]))
                 end).

with_connect(Fun) ->
    Node = raw_node(),
    {L, Port} = raw_peer:listen(),
    {ok, Epmd, _} = raw_peer:register(Node, Port, 72),
    Args = ["--connect", atom_to_list(Node), "--setup-time", "600000"],
    Serve = cnode_test:launch(#{args => Args, global => ["-v"]}),
    Fun(raw_peer:accept(L), Node, Serve),
    raw_peer:unregister(Epmd).

%% ------------------------------------------------------- simultaneous connects

%% Its name is greater: it says `nok` and its own attempt goes on.
simultaneous_raw_smaller(Config) ->
    Node = cnode_test:unique_node("aaa"),
    {S1, Node, _} = dialled(Config, Node),
    #{} = raw_peer:recv_name(S1),
    S2 = raw_peer:connect(port(Config)),
    raw_peer:send_name(S2, Node),
    ?assertEqual(<<"nok">>, raw_peer:recv_status(S2)),
    raw_peer:send_status(S1, <<"ok">>),
    raw_peer:send_challenge(S1, Node, raw_peer:flags(), 6),
    #{challenge := C} = raw_peer:recv_reply(S1),
    raw_peer:send_ack(S1, C, cnode_test:cookie()),
    ?assertMatch({_, {_, dial}}, recv_ctl(S1)),
    pong = raw_peer:ping(S1, Node),
    raw_peer:close(S2),
    pong = raw_peer:ping(S1, Node),
    raw_peer:close(S1).

%% Its name is smaller: it gives its own attempt up, and what it wanted to send
%% goes over the connection that was made instead.
simultaneous_raw_greater(Config) ->
    Node = cnode_test:unique_node("zzz"),
    {S1, Node, _} = dialled(Config, Node),
    #{} = raw_peer:recv_name(S1),
    S2 = raw_peer:connect(port(Config)),
    raw_peer:send_name(S2, Node),
    ?assertEqual(<<"ok_simultaneous">>, raw_peer:recv_status(S2)),
    ?assert(closed(S1, ?PROMPT)),
    raw_peer:finish_dial(S2, cnode_test:cookie(), 8),
    ?assertMatch({_, {_, dial}}, recv_ctl(S2)),
    pong = raw_peer:ping(S2, Node),
    raw_peer:close(S2).

simultaneous_smaller(_) ->
    simultaneous("aa").

simultaneous_greater(_) ->
    simultaneous("zz").

%% This node dials while a third one makes the C node dial this one: 20 rounds.
%% Whoever wins, there is one connection and no message is lost.
simultaneous(Prefix) ->
    Name = cnode_test:unique_node(Prefix),
    Serve = #{port := Port} =
        cnode_test:serve(#{name => Name, global => ["-v"]}),
    Node = raw_node(),
    Third = raw_peer:dial(Port, Node, cnode_test:cookie()),
    Me = self(),
    [begin
         send_ctl(Third, {6, raw_peer:self_pid(Node), '', echo}, {Me, N}),
         Dial = spawn_link(fun() -> net_kernel:connect_node(Name) end),
         receive {Echo, N} when node(Echo) =:= Name -> ok end,
         %% Later it would connect again.
         receive {'EXIT', Dial, Why} -> ?assertEqual(normal, Why) end,
         Pid = spawn(Name, cnode, loop, []),
         ?assertEqual({ok, N}, gen_server:call(Pid, N, ?WAIT)),
         ?assertEqual(pong, net_adm:ping(Name)),
         ?assertEqual({ok, again}, gen_server:call(Pid, again, ?WAIT)),
         true = erlang:disconnect_node(Name),
         wait_until(fun() -> has_lost_us(Serve) end)
     end || N <- lists:seq(1, 20)],
    raw_peer:close(Third),
    cnode_test:stop(Serve).

%% What it sends until it knows goes into the connection that was closed.
has_lost_us(Serve) ->
    Log = cnode_test:stderr(Serve),
    Count = fun(What) -> length(binary:matches(
                                  Log, [<<(atom_to_binary(node()))/binary, What/binary>>]))
            end,
    Count(<<" is up">>) =:= Count(<<" is down">>).

%% --------------------------------------------------------------- links by hand

unlink_protocol(Config) ->
    {S, Node, Me} = peer(Config),
    {Pid, Ref} = loop(S, Node, Me),
    send_ctl(S, {1, Me, Pid}),
    send_ctl(S, {35, 5, Me, Pid}),
    ?assertEqual({{36, 5, Pid, Me}}, recv_ctl(S)),
    Top = (1 bsl 64) - 1,
    send_ctl(S, {35, Top, Me, Pid}),
    ?assertEqual({{36, Top, Pid, Me}}, recv_ctl(S)),
    send_ctl(S, {22, Me, Pid}, {exit, unlinked}),
    ?assertEqual({{28, Pid, Me, Ref}, unlinked}, recv_ctl(S)),
    send_ctl(S, {35, 7, Me, Pid}),
    ?assertEqual({{36, 7, Pid, Me}}, recv_ctl(S)),
    raw_peer:close(S).

%% mortal unlinks from us: until the ack the link is neither there nor gone.
unlink_from_here(Config) ->
    {S, _, Me} = peer(Config),
    send_ctl(S, {6, Me, '', mortal}, {link, Me}),
    {{1, Mortal, Me}} = recv_ctl(S),
    send_ctl(S, {6, Me, '', mortal}, {unlink, Me}),
    {{35, Id, Mortal, Me}} = recv_ctl(S),
    ?assert(Id > 0),
    %% an exit over the inactive link is not seen, so nothing is sent on
    send_ctl(S, {24, Me, Mortal}, unseen),
    send_ctl(S, {36, Id, Me, Mortal}),
    send_ctl(S, {6, Me, '', mortal}, {link, Me}),
    ?assertEqual({{1, Mortal, Me}}, recv_ctl(S)),
    send_ctl(S, {24, Me, Mortal}, seen),
    {{22, Mortal, Me}, {'EXIT', Me, seen}} = recv_ctl(S),
    raw_peer:close(S).

link_noproc(Config) ->
    {S, Node, Me} = peer(Config),
    {Pid, _} = loop(S, Node, Me),
    send_ctl(S, {22, Me, Pid}, {exit, normal}),
    {_, normal} = await_ctl(S, 28),
    send_ctl(S, {1, Me, Pid}),
    ?assertEqual({{24, Pid, Me}, noproc}, recv_ctl(S)),
    raw_peer:close(S).

monitor_noproc(Config) ->
    {S, Node, Me} = peer(Config),
    {Pid, _} = loop(S, Node, Me),
    Ref = raw_peer:ref(Node, 2),
    send_ctl(S, {19, Me, no_such_name, Ref}),
    ?assertEqual({{28, no_such_name, Me, Ref}, noproc}, recv_ctl(S)),
    send_ctl(S, {22, Me, Pid}, {exit, normal}),
    {_, normal} = await_ctl(S, 28),
    send_ctl(S, {19, Me, Pid, Ref}),
    ?assertEqual({{28, Pid, Me, Ref}, noproc}, recv_ctl(S)),
    raw_peer:close(S).

exit2_kill(Config) ->
    {S, Node, Me} = peer(Config),
    {Pid, Ref} = loop(S, Node, Me),
    send_ctl(S, {26, Me, Pid}, normal),
    send_ctl(S, {22, Me, Pid}, {Me, still_there}),
    {_, {Pid, still_there}} = recv_ctl(S),
    send_ctl(S, {26, Me, Pid}, kill),
    ?assertEqual({{28, Pid, Me, Ref}, killed}, recv_ctl(S)),
    raw_peer:close(S).

%% ---------------------------------------------------------------- spawn, alias

spawn_badopt(Config) ->
    {S, Node, Me} = peer(Config),
    [begin
         Ref = raw_peer:ref(Node, N),
         send_ctl(S, {29, Ref, Me, Me, {cnode, loop, 0}, Opts}, []),
         ?assertEqual({{31, Ref, Me, 0, badopt}}, recv_ctl(S))
     end || {N, Opts} <- [{1, [no_such_option]}, {2, [{reply, yes}]},
                          {3, [link, monitor, {nonsense, 1}]},
                          {4, [{reply_tag, x}]}]],
    pong = raw_peer:ping(S, Node),
    raw_peer:close(S).

%% Whatever is asked for, the reply is the first that is heard of the process.
spawn_reply_first(Config) ->
    {S, Node, Me} = peer(Config),
    [begin
         Ref = raw_peer:ref(Node, N),
         send_ctl(S, {29, Ref, Me, Me, MFA, Opts}, Args),
         {{31, Ref, Me, Got, Pid}} = recv_ctl(S),
         ?assertEqual({Flags, true}, {Got, is_pid(Pid)}),
         Ends = [recv_ctl(S) || _ <- Opts],
         ?assertEqual(length([monitor || monitor <- Opts]),
                      length([x || {{28, P, _, R}, {undef, _}} <- Ends,
                                   P =:= Pid, R =:= Ref])),
         ?assertEqual(length([link || link <- Opts]),
                      length([x || {{24, P, _}, {undef, _}} <- Ends,
                                   P =:= Pid]))
     end || {N, Opts, Flags} <- [{1, [], 0}, {2, [link], 1}, {3, [monitor], 2},
                                 {4, [link, monitor], 3}],
            {MFA, Args} <- [{{no_such, function, 1}, [x]},
                            {{cnode, loop, 1}, [x]}]],
    raw_peer:close(S).

alias_unknown(Config) ->
    {S, Node, Me} = peer(Config),
    Own = ?config(node, Config),
    [send_ctl(S, {33, Me, R}, {R, answer})
     || R <- [raw_peer:ref(Node, 1), raw_peer:ref(Own, 2), make_ref()]],
    pong = raw_peer:ping(S, Node),
    raw_peer:close(S).

%% The same signals with a trace token, as sent by traced processes.
traced_forms(Config) ->
    {S, Node, Me} = peer(Config),
    Token = {0, {my, label}, 1, Me, 0},
    send_ctl(S, {16, Me, '', echo, Token}, {Me, 16}),
    %% What is sent in answer carries the trace on, by a clock that only
    %% moves forward.
    Next = fun(Serial, Echo) -> {0, {my, label}, Serial, Echo, 1} end,
    {{23, Echo, Me, Token2}, {Echo, 16}} = recv_ctl(S),
    ?assertEqual(Next(2, Echo), Token2),
    send_ctl(S, {23, Me, Echo, Token}, {Me, 23}),
    ?assertEqual({{23, Echo, Me, Next(3, Echo)}, {Echo, 23}}, recv_ctl(S)),
    send_ctl(S, {12, '', Echo, Token}, {Me, 12}),
    ?assertEqual({{23, Echo, Me, Next(4, Echo)}, {Echo, 12}}, recv_ctl(S)),
    Ref = raw_peer:ref(Node, 1),
    Opts = [link, monitor],
    send_ctl(S, {30, Ref, Me, Me, {cnode, loop, 0}, Opts, Token}, []),
    {Reply} = recv_ctl(S),
    ?assertEqual({32, Ref, Me, 3}, {element(1, Reply), element(2, Reply),
                                    element(3, Reply), element(4, Reply)}),
    Pid = element(5, Reply),
    send_ctl(S, {25, Me, Pid, Token}, {linked, exit}),
    {{28, Pid, Me, Ref}, {linked, exit}} = await_ctl(S, 28),
    {Two, Ref2} = loop(S, Node, Me),
    send_ctl(S, {27, Me, Two, Token}, why),
    ?assertEqual({{28, Two, Me, Ref2}, why}, recv_ctl(S)),
    send_ctl(S, {34, Me, raw_peer:ref(?config(node, Config), 1), Token}, x),
    pong = raw_peer:ping(S, Node),
    raw_peer:close(S).

%% The forms without SEND_SENDER and EXIT_PAYLOAD are understood always, and
%% used towards a peer that has only them.
old_forms(Config) ->
    Flags = raw_peer:flags() band bnot ((1 bsl 19) bor (1 bsl 22)),
    {S, Node, Me} = peer(Config, Flags),
    send_ctl(S, {6, Me, '', echo}, {Me, 6}),
    {{2, _, Me}, {Echo, 6}} = recv_ctl(S),
    send_ctl(S, {2, '', Echo}, {Me, 2}),
    {{2, _, Me}, {Echo, 2}} = recv_ctl(S),
    Token = {0, label, 1, Me, 0},
    [begin
         {Pid, Ref} = loop(S, Node, Me),
         send_ctl(S, {1, Me, Pid}),
         send_ctl(S, End(Pid)),
         ?assertEqual({{21, Pid, Me, Ref, {why, Op}}}, await_ctl(S, 21))
     end || {Op, End} <- [{3, fun(P) -> {3, Me, P, {why, 3}} end},
                          {8, fun(P) -> {8, Me, P, {why, 8}} end},
                          {13, fun(P) -> {13, Me, P, Token, {why, 13}} end},
                          {18, fun(P) -> {18, Me, P, Token, {why, 18}} end}]],
    send_ctl(S, {1, Me, Echo}),
    send_ctl(S, {35, 3, Me, Echo}),
    ?assertEqual({{36, 3, Echo, Me}}, await_ctl(S, 36)),
    Ref = raw_peer:ref(Node, 9),
    send_ctl(S, {19, Me, no_such_name, Ref}),
    ?assertEqual({{21, no_such_name, Me, Ref, noproc}}, recv_ctl(S)),
    raw_peer:close(S).

%% Op 37 of OTP 28, where the node announces it: to pid, name, alias, and exits,
%% with and without token, bits that nobody knows included.
altact(Config) ->
    S0 = raw_peer:connect(port(Config)),
    Node = raw_node(),
    raw_peer:send_name(S0, Node, raw_peer:flags() bor (1 bsl 37), 16#12345678),
    <<"ok">> = raw_peer:recv_status(S0),
    #{flags := Theirs, challenge := C} = raw_peer:recv_challenge(S0),
    raw_peer:send_reply(S0, C, 4, cnode_test:cookie()),
    <<_:128>> = raw_peer:recv_ack(S0),
    Theirs band (1 bsl 37) =/= 0 andalso altact_forms(S0, Node),
    raw_peer:close(S0).

altact_forms(S, Node) ->
    Me = raw_peer:self_pid(Node),
    Token = {0, label, 1, Me, 0},
    send_ctl(S, {37, 9, Me, echo}, {Me, name}),
    {_, {Echo, name}} = recv_ctl(S),
    send_ctl(S, {37, 1, Me, Echo}, {Me, pid}),
    {_, {Echo, pid}} = recv_ctl(S),
    send_ctl(S, {37, 2, Me, Echo, Token}, {Me, token}),
    {_, {Echo, token}} = recv_ctl(S),
    send_ctl(S, {37, 1 bsl 40, Me, Echo}, {Me, unknown_bits}),
    {_, {Echo, unknown_bits}} = recv_ctl(S),
    send_ctl(S, {37, 4, Me, raw_peer:ref(Node, 8)}, no_such_alias),
    {Pid, Ref} = loop(S, Node, Me),
    send_ctl(S, {37, 17, Me, Pid}, prio_exit),
    ?assertEqual({{28, Pid, Me, Ref}, prio_exit}, recv_ctl(S)).

%% ----------------------------------------------------------------------- ticks

%% With a tick time of 4 s the node ticks every second, drops a peer that is
%% silent, and keeps one that does nothing but tick.
ticks(_) ->
    Serve = #{port := Port} =
        cnode_test:serve(#{args => ["--ticktime", "4"], global => ["-v"]}),
    Dial = fun() -> raw_peer:dial(Port, raw_node(), cnode_test:cookie()) end,
    Node = raw_node(),
    in_parallel([fun() -> silent_is_dropped(Dial) end,
                 fun() -> ticking_is_kept(Dial()) end,
                 fun() -> trickling_is_kept(
                            raw_peer:dial(Port, Node, cnode_test:cookie()),
                            Node) end,
                 fun() -> half_frame_is_dropped(Dial()) end]),
    cnode_test:stop(Serve).

%% Not at once, but after some ticks.
silent_is_dropped(Dial) ->
    {Us, Ticks} = timer:tc(fun() -> count_ticks(Dial()) end),
    ct:log("dropped after ~p ms with ~p ticks", [Us div 1000, Ticks]),
    ?assert(Us > 2500000),
    ?assert(Ticks >= 2 andalso Ticks =< 6).

count_ticks(S) ->
    case recv_frame(S) of
        tick -> 1 + count_ticks(S);
        {error, closed} -> 0
    end.

ticking_is_kept(S) ->
    [begin
         raw_peer:tick(S),
         ?assertEqual(tick, recv_frame(S))
     end || _ <- lists:seq(1, 7)],
    ?assertNot(closed(S, 10)),
    raw_peer:close(S).

%% One byte of a frame a second: it is heard, and when it is whole it is served.
trickling_is_kept(S, Node) ->
    Me = raw_peer:self_pid(Node),
    Frame = iolist_to_binary(
              [112, term_to_binary({6, Me, '', nobody}), term_to_binary(x)]),
    Whole = <<(byte_size(Frame)):32, Frame/binary>>,
    Rest = lists:foldl(fun(_, <<Byte, Rest/binary>>) ->
                               ?assertEqual(tick, recv_frame(S)),
                               raw_peer:send(S, <<Byte>>),
                               Rest
                       end, Whole, lists:seq(1, 7)),
    raw_peer:send(S, Rest),
    pong = raw_peer:ping(S, Node),
    raw_peer:close(S).

half_frame_is_dropped(S) ->
    raw_peer:send(S, <<1000:32, 112>>),
    ?assert(closed(S, ?PROMPT)).
