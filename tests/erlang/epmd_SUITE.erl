%% SPDX-License-Identifier: Apache-2.0
%%
%% `cnode epmd`, compared with the epmd of this release: the same bytes are sent
%% to both, and what comes back has to be the same, with creations counted from
%% the first, and descriptors left out. Then Erlang nodes live on it, and C
%% nodes without any Erlang.
-module(epmd_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1, free_port/0, run/1, run/2]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [same_requests, same_requests_relaxed, same_old_names, same_in_pieces,
     same_at_random, same_kill, same_to_others, same_names_command, thousands, few_descriptors,
     crowd, erlang_nodes, c_nodes_take_over, c_node_waits, commands, statuses,
     addresses].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    ok.

end_per_testcase(_, _) ->
    cnode_test:stop_all().

%% ------------------------------------------------------------------- servers

%% Which is ours or theirs; a process has its port, and dies with the case.
start(Which, Args) ->
    start(Which, Args, []).

start(Which, Args, Env) ->
    start(Which, free_port(), Args, Env, "").

start(Which, Port, Args, Env, Before) ->
    start(Which, #{port => Port}, Args, Env, Before, local).

%% From: where it is asked from, see connect/1.
start(Which, #{port := Port} = Server, Args, Env, Before, From) ->
    Me = self(),
    Number = integer_to_list(Port),
    Command = case Which of
                  ours -> [os:getenv("CNODE"), "epmd", "--port", Number];
                  theirs -> [otp_epmd(), "-port", Number]
              end,
    Script = Before ++ "\"$@\" </dev/null >/dev/null 2>&1 & p=$!;"
        " read x; kill -KILL $p; wait",
    Pid = spawn_link(fun() ->
                             P = open_port({spawn_executable, "/bin/sh"},
                                           [{args, ["-c", Script, "sh"
                                                    | Command ++ Args]},
                                            {env, Env}, exit_status]),
                             Me ! {self(), started},
                             receive stop -> port_command(P, "x\n") end,
                             receive {P, {exit_status, _}} -> ok end,
                             Me ! {self(), stopped}
                     end),
    receive {Pid, started} -> ok end,
    S = Server#{pid => Pid, from => From},
    wait_until(fun() -> answers(S) end),
    S.

otp_epmd() ->
    Places = [filename:join([code:root_dir(),
                             "erts-" ++ erlang:system_info(version), "bin"])],
    hd([P || D <- Places, P <- [os:find_executable("epmd", D)], P =/= false]
       ++ [os:find_executable("epmd")]).

stop(#{pid := Pid}) ->
    Pid ! stop,
    receive {Pid, stopped} -> ok end.

answers(Server) ->
    try names(Server) of
        <<_:32, _/binary>> -> true;
        _ -> false
    catch error:_ -> false
    end.

%% ------------------------------------------------------------------- requests

packet(Bytes) ->
    <<(byte_size(Bytes)):16, Bytes/binary>>.

alive(Name) ->
    alive(Name, #{}).

alive(Name, O) ->
    Extra = maps:get(extra, O, <<>>),
    packet(<<$x, (maps:get(port, O, 1234)):16, (maps:get(type, O, 77)), 0,
             (maps:get(high, O, 6)):16, (maps:get(low, O, 5)):16,
             (maps:get(name_len, O, byte_size(Name))):16, Name/binary,
             (maps:get(extra_len, O, byte_size(Extra))):16, Extra/binary,
             (maps:get(tail, O, <<>>))/binary>>).

names(Server) ->
    S = connect(Server),
    ok = gen_tcp:send(S, packet(<<"n">>)),
    Bytes = read_list(S, <<>>),
    gen_tcp:close(S),
    Bytes.

read_list(S, Got) ->
    case gen_tcp:recv(S, 0, ?WAIT) of
        {ok, Bytes} -> read_list(S, <<Got/binary, Bytes/binary>>);
        {error, closed} -> Got
    end.

%% From this machine, or from another {Space, To}: at an address, in the network
%% namespace of a process.
connect(#{port := Port} = Server) ->
    {To, More} = case maps:get(from, Server, local) of
                     local ->
                         {{127, 0, 0, 1}, []};
                     {Space, Address} ->
                         {Address,
                          [{netns, lists:concat(["/proc/", Space, "/ns/net"])}]
                          ++ [inet6 || tuple_size(Address) =:= 8]}
                 end,
    {ok, S} = gen_tcp:connect(To, Port,
                              [binary, {active, false}, {nodelay, true}
                               | More]),
    S.

%% Sends pieces, of which the server reads each before the next one comes.
exchange(Server, Pieces) ->
    S = connect(Server),
    Result = send_pieces(Server, S, Pieces),
    gen_tcp:close(S),
    settle(Server),
    Result.

send_pieces(Server, S, Pieces) ->
    send_pieces(Server, S, Pieces, <<>>).

%% What has come is read at once: bytes that reach a closed connection destroy
%% it.
send_pieces(Server, S, [Last], Got) ->
    _ = gen_tcp:send(S, Last),
    settle(Server),
    read(S, Got);
send_pieces(Server, S, [Piece | More], Got) ->
    _ = gen_tcp:send(S, Piece),
    settle(Server),
    send_pieces(Server, S, More, read_now(S, Got)).

%% When it has answered others it has read what was there before, and answered
%% it; these are others.
settle(Server) ->
    answers(Server) andalso answers(Server).

read_now(S, Got) ->
    case gen_tcp:recv(S, 0, 0) of
        {ok, Bytes} -> read_now(S, <<Got/binary, Bytes/binary>>);
        {error, _} -> Got
    end.

%% Until it is closed, or silent.
read(S, Got) ->
    case gen_tcp:recv(S, 0, patience(Got)) of
        {ok, Bytes} -> read(S, <<Got/binary, Bytes/binary>>);
        {error, timeout} -> {Got, open};
        {error, _} -> {Got, closed}
    end.

%% An answer to ALIVE2 is known by its length, but a list goes on to the end of
%% the connection. Nothing for so long is not an answer that is late, for the
%% server has settled.
patience(<<118, _:5/binary>>) -> 20;
patience(<<121, _:3/binary>>) -> 20;
patience(<<>>) -> 100;
patience(_) -> ?WAIT.

%% ---------------------------------------------------------------- comparisons

%% Steps: {ask, Pieces}; {hold, Key, Pieces}: the connection stays; {drop, Key}.
%% What each leads to, and at the end what has become of those that were held.
play(Server, Steps) ->
    {Results, Held} = lists:mapfoldl(fun(Step, Held) ->
                                             step(Server, Step, Held)
                                     end, #{}, Steps),
    settle(Server),
    Ends = [{K, read(S, <<118, 0:40>>)} || {K, S} <- lists:sort(maps:to_list(Held))],
    [gen_tcp:close(S) || S <- maps:values(Held)],
    [plain(R) || R <- Results ++ Ends].

step(Server, {ask, Pieces}, Held) ->
    {exchange(Server, Pieces), Held};
step(Server, {hold, Key, Pieces}, Held) ->
    S = connect(Server),
    {send_pieces(Server, S, Pieces), Held#{Key => S}};
step(Server, {drop, Key}, Held) ->
    gen_tcp:close(maps:get(Key, Held)),
    settle(Server),
    {dropped, maps:remove(Key, Held)}.

%% Without what differs from run to run: the port, descriptors, and creations,
%% of which only the low digits could be compared if the clocks agreed.
plain({<<118, 0, C:32>>, How}) ->
    ?assert(C >= 4),
    {alive, How};
plain({<<121, 0, C:16>>, How}) ->
    ?assert(C >= 1 andalso C =< 3),
    {alive_old, How};
plain({<<_:32, Text/binary>>, How}) when binary_part(Text, 0, 5) =:= <<"name ">>;
                                         binary_part(Text, 0, 5) =:= <<"activ">>;
                                         binary_part(Text, 0, 5) =:= <<"old/u">> ->
    {re:replace(Text, "fd = [0-9]+", "fd", [global, {return, binary}]), How};
plain({<<_:32>>, How}) ->
    {port_only, How};
plain(Other) ->
    Other.

same(Args, OurArgs, Steps) ->
    Theirs = start(theirs, Args),
    Ours = start(ours, OurArgs),
    Want = play(Theirs, Steps),
    Got = play(Ours, Steps),
    All = Steps ++ lists:duplicate(length(Want) - length(Steps), at_the_end),
    ?assertEqual(length(Want), length(Got)),
    [?assertEqual({Step, W}, {Step, G})
     || {Step, {W, G}} <- lists:zip(All, lists:zip(Want, Got))],
    stop(Theirs),
    stop(Ours).

ask(Body) ->
    {ask, [packet(Body)]}.

%% Everything once: good, odd and bad.
requests() ->
    Long = fun(N) -> binary:copy(<<"q">>, N) end,
    Wide = binary:copy(<<"é"/utf8>>, 254),
    [ask(<<"n">>), ask(<<"d">>),
     {hold, a, [alive(<<"a">>)]},
     {hold, again, [alive(<<"a">>)]},
     {hold, old_again, [alive(<<"a">>, #{high => 5})]},
     {drop, again},
     {hold, b, [alive(<<"b">>, #{high => 5, extra => <<1, 2>>, type => 72})]},
     {hold, l255, [alive(Long(255))]}, ask(<<"z", (Long(255))/binary>>),
     {hold, l254, [alive(Long(254))]}, ask(<<"z", (Long(254))/binary>>),
     ask(<<"z", (Long(254))/binary, 0>>),
     {hold, l256, [alive(Long(256))]}, {hold, l1021, [alive(Long(1021))]},
     {hold, wide, [alive(Wide)]}, ask(<<"z", Wide/binary>>),
     {hold, wider, [alive(<<Wide/binary, Wide/binary>>)]},
     {hold, e1020, [alive(<<"e1">>, #{extra => Long(1020)})]},
     {hold, e1021, [alive(<<"e2">>, #{extra => Long(1021)})]},
     ask(<<"ze1">>), ask(<<"ze2">>),
     {hold, empty, [alive(<<>>, #{extra => <<"x">>})]},
     {hold, none, [alive(<<>>)]},
     {hold, tail, [alive(<<"tail">>, #{tail => <<"behind">>})]},
     {hold, at, [alive(<<"foo@bar">>, #{port => 0})]},
     {hold, line, [alive(<<"x at port 1\nname y">>)]},
     {hold, bad, [alive(<<255>>)]},
     {hold, surrogate, [alive(<<16#ed, 16#a0, 16#80>>)]},
     {hold, overlong, [alive(<<16#c0, 16#80>>)]},
     {hold, beyond, [alive(<<16#f4, 16#90, 16#80, 16#80>>)]},
     {hold, cut, [alive(<<16#e2, 16#82>>)]},
     {ask, [alive(<<"n", 0, "l">>)]},
     {ask, [alive(<<"abc">>, #{name_len => 50})]},
     {ask, [alive(<<"abc">>, #{extra_len => 50})]},
     {ask, [alive(<<"abc">>, #{name_len => 65535})]},
     ask(<<"za">>), ask(<<"za", 0>>), ask(<<"za", 0, 0>>), ask(<<"zb">>),
     ask(<<"zA">>), ask(<<"z">>), ask(<<"z", 0>>), ask(<<"z", 255>>),
     ask(<<"zfoo@bar">>), ask(<<"z", (Long(3000))/binary>>),
     ask(<<"n">>), ask(<<"nmore">>), ask(<<"d">>), ask(<<"dmore">>),
     {drop, a}, {drop, l255}, ask(<<"za">>),
     ask(<<"n">>), ask(<<"d">>),
     ask(<<"s">>), ask(<<"s", 0>>), ask(<<"sfoo@bar">>), ask(<<"sno">>),
     ask(<<"stail", 0, "x">>), ask(<<"s", 255>>),
     ask(<<"n">>), ask(<<"d">>), {hold, a, [alive(<<"a">>)]}, ask(<<"d">>),
     ask(<<"q">>), ask(<<0>>), ask(<<"a", 4, 210, "old">>), ask(<<"w">>),
     {ask, [<<0, 0>>]}, {ask, [<<0, 0, 0>>]},
     {ask, [<<3057:16, (binary:copy(<<"n">>, 3057))/binary>>]},
     {ask, [<<3058:16, (binary:copy(<<"n">>, 3058))/binary>>]},
     {ask, [<<65535:16, (binary:copy(<<"n">>, 65535))/binary>>]},
     {ask, [<<(packet(<<"n">>))/binary, "x">>]},
     {ask, [<<(packet(<<"za">>))/binary, (packet(<<"za">>))/binary>>]},
     {ask, [<<(alive(<<"m">>))/binary, 0>>]},
     {hold, m, [alive(<<"m">>), <<0>>]},
     ask(<<"zm">>), ask(<<"n">>), ask(<<"d">>)].

same_requests(_) ->
    same([], [], requests() ++ [ask(<<"k">>), ask(<<"kmore">>)]).

same_requests_relaxed(_) ->
    same(["-relaxed_command_check"], ["--relaxed-command-check"], requests()).

%% With -d both remember five names and one more; then the oldest goes.
same_old_names(_) ->
    Life = fun(N) -> [{hold, N, [alive(<<"n", (integer_to_binary(N))/binary>>)]},
                      {drop, N}] end,
    same(["-d"], ["-d"], lists:append([Life(N) || N <- lists:seq(1, 9)])
         ++ [ask(<<"d">>)] ++ Life(5) ++ [ask(<<"d">>)] ++ Life(1)
         ++ [ask(<<"d">>)]),
    creations(start(theirs, ["-d"])),
    creations(start(ours, ["-d"])).

%% A name goes on from its own creation, a new one gets the oldest's.
creations(Server) ->
    Begin = create(Server, <<"a">>),
    ?assertEqual(Begin + 1, create(Server, <<"a">>)),
    ?assertEqual(Begin + 2, create(Server, <<"a">>)),
    [create(Server, <<"a", N>>) || N <- "bcdef"],
    ?assertEqual(Begin + 2, create(Server, <<"new">>)),
    ?assertEqual(Begin + 3, create(Server, <<"new">>)),
    ?assertEqual((Begin + 4) rem 3 + 1, create(Server, <<"new">>, 5)),
    ?assert(abs(Begin - os:system_time(second)) < 600),
    stop(Server).

create(Server, Name) ->
    create(Server, Name, 6).

create(Server, Name, High) ->
    S = connect(Server),
    {Got, open} = send_pieces(Server, S, [alive(Name, #{high => High})]),
    gen_tcp:close(S),
    settle(Server),
    case Got of
        <<118, 0, C:32>> -> C;
        <<121, 0, C:16>> -> C
    end.

%% --------------------------------------------------------- other machines

%% Only who is on the machine itself may register a name, read what is not for
%% all, or end anything: at a loopback address, or at the one that it comes
%% from itself.
same_to_others(_) ->
    case machines:missing() of
        [] -> to_others(machines:namespace(), machines:namespace());
        [Why | _] -> {skip, Why}
    end.

to_others(Here, There) ->
    machines:sh(Here, ["ip link set lo up && ip link add name eth0 type veth "
                       "peer name eth0 netns ", integer_to_list(There)]),
    [machines:sh(S, ["ip addr add 10.78.0.", N, "/24 dev eth0 && "
                     "ip addr add fd78::", N, "/64 dev eth0 nodad && "
                     "ip link set eth0 up"])
     || {S, N} <- [{Here, "1"}, {There, "2"}]],
    [ask_from({Space, To}, Here, Relaxed)
     || Relaxed <- [false, true],
        {Space, To} <- [{There, {10, 78, 0, 1}},
                        {There, {16#fd78, 0, 0, 0, 0, 0, 0, 1}},
                        {Here, {10, 78, 0, 1}},
                        {Here, {16#fd78, 0, 0, 0, 0, 0, 0, 1}},
                        {Here, {127, 0, 0, 1}},
                        {Here, {0, 0, 0, 0, 0, 0, 0, 1}}]].

%% A name that is registered from this machine is asked about from that place.
ask_from({Space, _} = From, Here, Relaxed) ->
    Before = lists:append([W ++ " " || W <- machines:inside(Here)]),
    Ask = fun(Which, Args) ->
                  S = start(Which, #{port => free_port()},
                            [A || A <- Args, Relaxed], [], Before, From),
                  Node = connect(S#{from := {Here, {127, 0, 0, 1}}}),
                  ok = gen_tcp:send(Node, alive(<<"here">>)),
                  {ok, <<118, 0, _:32>>} = gen_tcp:recv(Node, 6, ?WAIT),
                  Results = play(S, steps_from(Space =/= Here, Relaxed)),
                  gen_tcp:close(Node),
                  stop(S),
                  Results
          end,
    Want = Ask(theirs, ["-relaxed_command_check"]),
    ?assertEqual({From, Relaxed, Want},
                 {From, Relaxed, Ask(ours, ["--relaxed-command-check"])}),
    %% The comparison compares what it should.
    Refused = [R || {<<>>, closed} = R <- Want],
    ?assertEqual({From, Relaxed, Space =/= Here},
                 {From, Relaxed, length(Refused) > 4}).

%% Who is here and may end it, does not.
steps_from(IsOther, Relaxed) ->
    [ask(<<"n">>), ask(<<"zhere">>), ask(<<"znone">>), ask(<<"d">>),
     {hold, a, [alive(<<"a">>)]}, {hold, old, [alive(<<"o">>, #{high => 5})]},
     {hold, taken, [alive(<<"here">>)]}, ask(<<"za">>), ask(<<"n">>)]
        ++ [ask(<<"k">>) || IsOther orelse not Relaxed]
        ++ [ask(<<"snone">>), ask(<<"shere">>), ask(<<"n">>), ask(<<"q">>)].

%% A request may come in any two pieces, and more behind it with the second.
same_in_pieces(_) ->
    same([], [],
         [{ask, [binary:part(P, 0, N), binary:part(P, N, byte_size(P) - N)]}
          || P <- [packet(<<"n">>), packet(<<"zab">>), alive(<<"ab">>),
                   <<(packet(<<"n">>))/binary, "behind">>,
                   <<(alive(<<"cd">>))/binary, 0>>],
             N <- lists:seq(1, byte_size(P) - 1)]
         ++ [{hold, one_by_one, [<<B>> || <<B>> <= alive(<<"x">>)]},
             ask(<<"n">>), ask(<<"d">>)]).

%% Requests of which some bytes are others, on names that come and go.
same_at_random(_) ->
    Seed = erlang:phash2(erlang:monotonic_time()),
    ct:log("seed ~p", [Seed]),
    rand:seed(exsss, Seed),
    same(["-relaxed_command_check"], ["--relaxed-command-check"],
         random_steps(150, [])).

random_steps(0, _) ->
    [];
random_steps(N, Held) ->
    case rand:uniform(10) of
        X when X =< 2, Held =/= [] ->
            Key = lists:nth(rand:uniform(length(Held)), Held),
            [{drop, Key} | random_steps(N - 1, lists:delete(Key, Held))];
        X when X =< 5 ->
            [{hold, N, [alive(random_name())]} | random_steps(N - 1, [N | Held])];
        _ ->
            [{ask, [spoil(random_request())]} | random_steps(N - 1, Held)]
    end.

random_name() ->
    lists:nth(rand:uniform(6), [<<"a">>, <<"b">>, <<"c">>, <<"é"/utf8>>,
                                <<"long", (rand:uniform(3))>>, <<"d">>]).

random_request() ->
    case rand:uniform(5) of
        1 -> packet(<<"n">>);
        2 -> packet(<<"d">>);
        3 -> packet(<<"s", (random_name())/binary>>);
        4 -> packet(<<"z", (random_name())/binary>>);
        5 -> alive(random_name())
    end.

%% Not into a KILL: that ends it.
spoil(Bytes) ->
    case rand:uniform(3) of
        1 ->
            At = rand:uniform(byte_size(Bytes)) - 1,
            <<Before:At/binary, _, After/binary>> = Bytes,
            New = rand:uniform(256) - 1,
            <<Before/binary, (case New of $k -> 0; _ -> New end), After/binary>>;
        2 ->
            <<Bytes/binary, (rand:uniform(256) - 1)>>;
        3 ->
            Bytes
    end.

%% It ends, with nothing but OK.
same_kill(_) ->
    [begin
         #{port := Port} = Server = start(Which, []),
         ?assertEqual({<<"OK">>, closed}, exchange(Server, [packet(<<"k">>)])),
         wait_until(fun() -> not answers(#{port => Port}) end),
         stop(Server)
     end || Which <- [theirs, ours]],
    [begin
         Server = start(Which, [Relaxed]),
         S = connect(Server),
         {_, open} = send_pieces(Server, S, [alive(<<"x">>)]),
         ?assertEqual({<<"OK">>, closed}, exchange(Server, [packet(<<"k">>)])),
         ?assertEqual({error, closed}, gen_tcp:recv(S, 0, ?WAIT)),
         stop(Server)
     end || {Which, Relaxed} <- [{theirs, "-relaxed_command_check"},
                                 {ours, "--relaxed-command-check"}]].

%% OTP's command reads ours.
same_names_command(_) ->
    [Theirs, Ours] =
        [begin
             #{port := Port} = Server = start(Which, []),
             S = connect(Server),
             {_, open} = send_pieces(Server, S, [alive(<<"shop">>)]),
             P = integer_to_list(Port),
             Text = os:cmd(lists:join($\s, [otp_epmd(), "-port", P, "-names"])),
             gen_tcp:close(S),
             stop(Server),
             string:replace(Text, P, "PORT")
         end || Which <- [theirs, ours]],
    ?assertEqual(lists:flatten(Theirs), lists:flatten(Ours)),
    ?assertNotEqual(nomatch, string:find(Theirs, "name shop at port 1234")).

%% ------------------------------------------------------------- many and hostile

%% More than OTP's epmd has room for.
thousands(_) ->
    Server = start(ours, []),
    Most = min(3000, open_files() - 300),
    Held = [begin
                S = connect(Server),
                ok = gen_tcp:send(S, alive(name(N), #{port => N})),
                S
            end || N <- lists:seq(1, Most)],
    [?assertMatch({ok, <<118, 0, _:32>>}, gen_tcp:recv(S, 6, ?WAIT))
     || S <- Held],
    <<_:32, Text/binary>> = names(Server),
    Lines = binary:split(Text, <<"\n">>, [global, trim]),
    ?assertEqual([iolist_to_binary(["name ", name(N), " at port ",
                                    integer_to_list(N)])
                  || N <- lists:seq(Most, 1, -1)], Lines),
    [gen_tcp:close(S) || S <- Held],
    wait_until(fun() -> byte_size(names(Server)) =:= 4 end),
    stop(Server).

name(N) ->
    <<"node", (integer_to_binary(N))/binary>>.

open_files() ->
    case string:trim(os:cmd("ulimit -n")) of
        "unlimited" -> 100000;
        Text -> list_to_integer(Text)
    end.

%% When there are no more descriptors, clients lose theirs, and nodes do not.
few_descriptors(_) ->
    Server = start(ours, free_port(), [], [], "ulimit -n 64; "),
    Node = connect(Server),
    {_, open} = send_pieces(Server, Node, [alive(<<"stays">>)]),
    Idle = [connect(Server) || _ <- lists:seq(1, 200)],
    [?assertEqual({<<119, 1>>, closed},
                  exchange(Server, [packet(<<"zno">>)]))
     || _ <- lists:seq(1, 20)],
    ?assertMatch({_, _}, binary:match(names(Server), <<"name stays ">>)),
    ?assertEqual({error, timeout}, gen_tcp:recv(Node, 0, 0)),
    [gen_tcp:close(S) || S <- [Node | Idle]],
    stop(Server).

%% Some say nothing, some half of a request, some ask and do not read; those
%% who behave do not wait for them.
crowd(_) ->
    Server = start(ours, []),
    Node = connect(Server),
    {_, open} = send_pieces(Server, Node, [alive(<<"stays">>)]),
    Hold = [begin
                S = connect(Server),
                ok = gen_tcp:send(S, Bytes),
                S
            end || _ <- lists:seq(1, 100),
                   Bytes <- [<<>>, <<0>>, <<200:16, "x">>, packet(<<"n">>),
                             <<10:16, "z">>]],
    [names(Server) || _ <- lists:seq(1, 100)],
    ?assertMatch({_, _}, binary:match(names(Server), <<"name stays ">>)),
    [gen_tcp:close(S) || S <- [Node | Hold]],
    stop(Server).

%% ----------------------------------------------------------------- Erlang nodes

peer_at(#{port := Port}) ->
    Node = cnode_test:unique_node("epmd"),
    [Name, Host] = string:split(atom_to_list(Node), "@"),
    {ok, Peer, Node} =
        peer:start(#{name => Name, host => Host, longnames => true,
                     connection => standard_io, wait_boot => ?WAIT,
                     env => [{"ERL_EPMD_PORT", integer_to_list(Port)}],
                     args => ["-setcookie", cnode_test:cookie(), "-start_epmd",
                              "false"]}),
    {Peer, Node, list_to_binary(Name)}.

is_listed(Server, Name) ->
    answers(Server) andalso
        binary:match(names(Server), <<"name ", Name/binary, " at port ">>)
        =/= nomatch.

%% They register, find each other, outlive a restart of it, and register again
%% with the creation they had.
erlang_nodes(_) ->
    #{port := Port} = Server = start(ours, []),
    {A, NodeA, NameA} = peer_at(Server),
    {B, NodeB, NameB} = peer_at(Server),
    ?assert(is_listed(Server, NameA) andalso is_listed(Server, NameB)),
    ?assertEqual(pong, peer:call(A, net_adm, ping, [NodeB], ?WAIT)),
    {ok, Listed} = peer:call(A, net_adm, names, [], ?WAIT),
    ?assertEqual(lists:sort([binary_to_list(N) || N <- [NameA, NameB]]),
                 lists:sort([N || {N, _} <- Listed])),
    Creation = peer:call(A, erlang, system_info, [creation], ?WAIT),
    stop(Server),
    ?assertEqual([NodeB], peer:call(A, erlang, nodes, [], ?WAIT)),
    Again = start(ours, Port, [], [], ""),
    wait_until(fun() -> is_listed(Again, NameA) andalso is_listed(Again, NameB)
               end),
    ?assertEqual(Creation, peer:call(A, erlang, system_info, [creation],
                                     ?WAIT)),
    {C, _, NameC} = peer_at(Again),
    [?assertEqual(pong, peer:call(C, net_adm, ping, [N],
                                  ?WAIT)) || N <- [NodeA, NodeB]],
    [peer:stop(P) || P <- [A, B, C]],
    wait_until(fun() -> not is_listed(Again, NameC) end),
    stop(Again).

%% ---------------------------------------------------------------------- C nodes

c_node(Port, Args) ->
    node_driver:start(#{env => [{"ERL_EPMD_PORT", integer_to_list(Port)}],
                        args => ["--epmd-server" | Args]}).

short(#{node := Node}) ->
    hd(binary:split(atom_to_binary(Node), <<"@">>)).

%% No EPMD but that of the nodes: when the one that serves dies, another one
%% does, and all are known again.
c_nodes_take_over(_) ->
    Port = free_port(),
    Server = #{port => Port},
    A = c_node(Port, []),
    ?assert(is_listed(Server, short(A))),
    [B, C] = [c_node(Port, []) || _ <- "bc"],
    ?assertEqual(up, node_driver:tell(B, {connect, maps:get(node, A)})),
    ?assertEqual(up, node_driver:tell(C, {connect, maps:get(node, B)})),
    cnode_test:kill9(A),
    wait_until(fun() -> is_listed(Server, short(B)) andalso
                            is_listed(Server, short(C)) end),
    ?assertNot(is_listed(Server, short(A))),
    D = c_node(Port, []),
    ?assertEqual(up, node_driver:tell(D, {connect, maps:get(node, B)})),
    ?assertEqual(up, node_driver:tell(D, {connect, maps:get(node, C)})),
    ?assertEqual({<<"NO">>, closed}, exchange(Server, [packet(<<"k">>)])),
    [node_driver:stop(X) || X <- [B, C, D]],
    ?assertNot(answers(#{port => Port})).

%% Somebody else's goes first; an Erlang node is known to theirs as well.
c_node_waits(_) ->
    #{port := Port} = Server = start(theirs, []),
    A = c_node(Port, []),
    ?assert(is_listed(Server, short(A))),
    #{creation := Creation} = node_driver:tell(A, stats),
    stop(Server),
    wait_until(fun() -> is_listed(Server, short(A)) end),
    ?assertMatch(#{creation := Creation}, node_driver:tell(A, stats)),
    {Peer, Node, _} = peer_at(Server),
    ?assertEqual(up, node_driver:tell(A, {connect, Node})),
    peer:stop(Peer),
    node_driver:stop(A).

%% ---------------------------------------------------------------------- command

text(Format, Args) ->
    iolist_to_binary(io_lib:format(Format, Args)).

program() ->
    filename:basename(os:getenv("CNODE")).

commands(_) ->
    #{port := Port} = Server = start(ours, ["--relaxed-command-check"]),
    P = integer_to_list(Port),
    S = connect(Server),
    {_, open} = send_pieces(Server, S, [alive(<<"shop">>)]),
    ?assertEqual({0, <<"shop 1234\n">>, <<>>},
                 run(["epmd", "--names", "--port", P])),
    ?assertEqual({0, <<>>, <<>>}, run(["epmd", "--stop", "shop", "--port", P])),
    ?assertEqual({error, closed}, gen_tcp:recv(S, 0, ?WAIT)),
    ?assertMatch({1, <<>>, _}, run(["epmd", "--stop", "shop", "--port", P])),
    ?assertEqual({0, <<>>, <<>>}, run(["epmd", "--kill", "--port", P])),
    wait_until(fun() -> not answers(#{port => Port}) end),
    stop(Server).

statuses(_) ->
    #{port := Port} = Server = start(ours, []),
    P = integer_to_list(Port),
    S = connect(Server),
    {_, open} = send_pieces(Server, S, [alive(<<"shop">>)]),
    ?assertEqual({1, <<>>,
                  text("~ts: epmd: EPMD does not end: nodes are registered\n"
                       "hint: stop them, or start it with "
                       "--relaxed-command-check next time\n", [program()])},
                 run(["epmd", "--kill", "--port", P])),
    ?assertMatch({1, <<>>, _}, run(["epmd", "--stop", "shop", "--port", P])),
    ?assertEqual({6, <<>>,
                  text("~ts: epmd: somebody listens at 0.0.0.0:~ts already\n"
                       "hint: EPMD runs there already; --port gives another\n",
                       [program(), P])},
                 run(["epmd", "--port", P])),
    Free = integer_to_list(free_port()),
    ?assertMatch({3, <<>>, _}, run(["epmd", "--kill", "--port", Free])),
    ?assertMatch({3, <<>>, _}, run(["epmd", "--names", "--port", Free])),
    [?assertMatch({2, <<>>, _}, run(["epmd" | Args]))
     || Args <- [["--names", "--kill"], ["--stop", "a@b", "--port", P],
                 ["--address", "localhost", "--port", Free], ["word"]]],
    gen_tcp:close(S),
    stop(Server).

%% Listens where it is told, and at loopback.
addresses(_) ->
    #{port := Port} = Server =
        start(ours, [], [{"ERL_EPMD_ADDRESS", "127.0.0.2, 127.0.0.3"}]),
    Reached = fun(Address) ->
                      case gen_tcp:connect(Address, Port, []) of
                          {ok, S} -> gen_tcp:close(S), true;
                          {error, econnrefused} -> false
                      end
              end,
    ?assertEqual([true, true, true, false],
                 [Reached({127, 0, 0, N}) || N <- [1, 2, 3, 4]]),
    stop(Server),
    All = start(ours, Port, [], [{"ERL_EPMD_RELAXED_COMMAND_CHECK", "1"}], ""),
    ?assert(Reached({127, 0, 0, 4})),
    ?assertEqual({<<"NOEXISTSTOPPED">>, closed},
                 exchange(All, [packet(<<"sx">>)])),
    stop(All).
