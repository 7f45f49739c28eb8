%% SPDX-License-Identifier: Apache-2.0
%%
%% A C node finds others (discover_driver.c): by lists, by EPMD, by DNS, with a
%% server of DNS that is played here, and by the gossip of libcluster, which is
%% played here too, with real multicasts on the loopback interface.
-module(discover_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [wait_until/1]).

-define(LOOPBACK, {127, 0, 0, 1}).
%% Of the addresses that are for documentation, so that it meets nobody.
-define(GROUP, {233, 252, 1, 77}).
-define(DNS_PORT, 53).
-define(SYSTEM_DNS, {127, 77, 53, 1}).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [list, epmd, epmd_drops, hosts_file, dns, dns_drops,
     dns_trouble, dns_of_the_system, srv, gossip, gossip_forms, gossip_secret,
     gossip_wrong_secret, gossip_broadcast, gossip_between_c, gossip_old_group,
     gossip_floods, gossip_garbage, serve, serve_bad_words, serve_secret,
     serve_no_secret, serve_warns].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_testcase(_, Config) ->
    process_flag(trap_exit, true),
    Config.

end_per_testcase(_, _) ->
    [begin
         unlink(P),
         catch port_close(P)
     end || P <- erlang:ports(),
            erlang:port_info(P, connected) =:= {connected, self()}],
    cnode_test:flush().

%% ------------------------------------------------------------- the driver

start(Node, Words) ->
    start(Node, Words, []).

%% Wrap: a program and its arguments that run the driver.
start(Node, Words, Wrap) ->
    Beside = filename:dirname(os:getenv("NODE_DRIVER")),
    [Program | Args] = Wrap ++ [filename:join(Beside, "discover_driver"),
                                atom_to_list(Node) | Words],
    Port = open_port({spawn_executable, os:find_executable(Program)},
                     [{args, Args}, {line, 1000}, exit_status, binary,
                      {env, [{"CNODE_COOKIE", cnode_test:cookie()}]}]),
    <<"ready ", _/binary>> = line(Port),
    Port.

line(Port) ->
    receive
        {Port, {data, {eol, Line}}} -> ct:log("~ts", [Line]), Line;
        {Port, {exit_status, S}} -> ct:fail({ended, S})
    after ?WAIT -> ct:fail(no_line)
    end.

%% The next event of this kind about this node ('-': about a source): its source,
%% code and text. Others are passed over.
event(Port, Kind, Node) ->
    case parse(line(Port)) of
        {Kind, Node, Source, Code, Text} -> {Source, Code, Text};
        _ -> event(Port, Kind, Node)
    end.

parse(Line) ->
    {match, [Kind, Node, Source, Code, Text]} =
        re:run(Line, "^(\\S+) (\\S+) (\\S+) (\\S+) (.*)$",
               [{capture, all_but_first, binary}]),
    {binary_to_atom(Kind), binary_to_atom(Node), binary_to_atom(Source),
     binary_to_atom(Code), Text}.

%% All events that have come.
events(Port) ->
    receive
        {Port, {data, {eol, Line}}} -> [parse(Line) | events(Port)]
    after 0 -> []
    end.

%% As the Erlang node sees it.
connected(Node) ->
    wait_until(fun() -> lists:member(Node, nodes(connected)) end),
    ?assert(lists:member(Node, nodes(hidden))).

name(Prefix) ->
    cnode_test:unique_node(Prefix).

%% name@host of another host.
at(Base, Host) ->
    list_to_atom(lists:concat([Base, "@", Host])).

base(Node) ->
    hd(string:split(atom_to_list(Node), "@")).

%% ------------------------------------------------------------------- lists

list(_) ->
    C = name("disc"),
    Missing = name("missing"),
    P = start(C, ["interval=200",
                  "list=" ++ lists:concat([Missing, ",", node(), ",", C])]),
    {list, 'CN_OK', _} = event(P, found, Missing),
    {list, 'CN_OK', _} = event(P, found, node()),
    {list, 'CN_OK', _} = event(P, up, node()),
    connected(C),
    {list, 'CN_ENOENT', _} = event(P, error, Missing),
    ?assertNot(lists:keymember(C, 2, events(P))),
    %% It comes later, and goes, and comes back.
    [begin
         cnode_test:with_peer(#{name => Missing}, fun(_, _) ->
             {list, 'CN_OK', _} = event(P, up, Missing)
         end),
         {list, _, _} = event(P, down, Missing)
     end || _ <- [1, 2]].

%% -------------------------------------------------------------------- EPMD

epmd(_) ->
    C = name("disc"),
    P = start(C, ["interval=100", "epmd=127.0.0.1"]),
    {epmd, 'CN_OK', _} = event(P, up, node()),
    Peer = name("peer"),
    cnode_test:with_peer(#{name => Peer}, fun(_, _) ->
        {epmd, 'CN_OK', _} = event(P, found, Peer),
        {epmd, 'CN_OK', _} = event(P, up, Peer)
    end),
    {'-', 'CN_OK', _} = event(P, gone, Peer),
    ?assertNot(lists:keymember(C, 2, events(P))),
    connected(C).

%% EPMD forgets a node that lives; it is disconnected then.
epmd_drops(_) ->
    C = name("disc"),
    Other = name("held"),
    {ok, Hold} = hold_name(Other),
    P = start(C, ["interval=100", "drop", "epmd=127.0.0.1"]),
    {epmd, 'CN_OK', _} = event(P, found, Other),
    {epmd, _, _} = event(P, error, Other),
    gen_tcp:close(Hold),
    {'-', 'CN_OK', _} = event(P, gone, Other),
    connected(C).

%% A registration without a node.
hold_name(Node) ->
    Name = list_to_binary(base(Node)),
    {ok, S} = gen_tcp:connect(?LOOPBACK, cnode_test:epmd_port(),
                              [binary, {active, false}]),
    Req = <<120, 1:16, 77, 0, 6:16, 5:16, (byte_size(Name)):16, Name/binary,
            0:16>>,
    ok = gen_tcp:send(S, <<(byte_size(Req)):16, Req/binary>>),
    {ok, <<_, 0, _/binary>>} = gen_tcp:recv(S, 0, ?WAIT),
    {ok, S}.

hosts_file(_) ->
    C = name("disc"),
    File = cnode_test:file(<<"% ours\n'127.0.0.1'.\n">>, 8#600),
    P = start(C, ["interval=100", "hosts=" ++ File]),
    {epmd, 'CN_OK', _} = event(P, up, node()),
    connected(C).

%% --------------------------------------------------------------------- DNS

%% A server on any port of this address, that answers each question with what
%% Fun(Type, Name) says: {Code, [{Type, Data}]}, or the bytes behind the id.
dns_server(Fun) ->
    {Pid, Port} = dns_server(?LOOPBACK, 0, Fun),
    {Pid, "server=127.0.0.1:" ++ integer_to_list(Port)}.

dns_server(Address, Port, Fun) ->
    Me = self(),
    Pid = spawn_link(fun() ->
                             {ok, S} = gen_udp:open(Port, [binary,
                                                           {ip, Address}]),
                             Me ! {self(), inet:port(S)},
                             dns_loop(S, Fun)
                     end),
    receive {Pid, {ok, Number}} -> {Pid, Number};
            {'EXIT', Pid, Why} -> {error, Why}
    end.

dns_loop(S, Fun) ->
    receive
        {udp, S, Ip, Port, <<Id:16, _:16, 1:16, _:48, Rest/binary>>} ->
            {Name, <<Type:16, 1:16, _/binary>>} = dns_name(Rest, []),
            Size = byte_size(Rest) - byte_size(element(2, dns_name(Rest, [])))
                + 4,
            Question = binary:part(Rest, 0, Size),
            Answer = dns_answer(Fun(Type, Name), Question),
            ok = gen_udp:send(S, Ip, Port, <<Id:16, Answer/binary>>),
            dns_loop(S, Fun);
        {become, New, From} ->
            From ! {self(), ok},
            dns_loop(S, New)
    end.

%% Other answers from now on.
become(Pid, Fun) ->
    Pid ! {become, Fun, self()},
    receive {Pid, ok} -> ok end.

dns_name(<<0, Rest/binary>>, Labels) ->
    {lists:flatten(lists:join($., lists:reverse(Labels))), Rest};
dns_name(<<N, Label:N/binary, Rest/binary>>, Labels) ->
    dns_name(Rest, [binary_to_list(Label) | Labels]).

dns_answer(Bytes, _) when is_binary(Bytes) ->
    Bytes;
dns_answer({Code, Records}, Question) ->
    Data = << <<16#c00c:16, Type:16, 1:16, 5:32, (byte_size(D)):16, D/binary>>
              || {Type, D} <- Records >>,
    <<(16#8180 bor Code):16, 1:16, (length(Records)):16, 0:32,
      Question/binary, Data/binary>>.

%% A and AAAA of these addresses.
addresses(List) ->
    fun(Type, _) ->
            {0, [record(A) || A <- List, element(1, record(A)) =:= Type]}
    end.

record({A, B, C, D}) -> {1, <<A, B, C, D>>};
record(Six) -> {28, << <<W:16>> || W <- tuple_to_list(Six) >>}.

srv_record(Target) ->
    Labels = [list_to_binary(L) || L <- string:split(Target, ".", all)],
    Name = << <<(byte_size(L)), L/binary>> || L <- Labels >>,
    {33, <<0:16, 0:16, 4370:16, Name/binary, 0>>}.

dns(_) ->
    C = name("disc"),
    Base = base(node()),
    {_, Server} = dns_server(
                    fun(Type, "app.test") ->
                            (addresses([?LOOPBACK, {127, 0, 0, 9},
                                        {16#fd00, 0, 0, 0, 0, 0, 0, 7}]))
                              (Type, x)
                    end),
    P = start(C, ["base=" ++ Base, Server, "interval=100", "dns=app.test"]),
    %% Both kinds of addresses; the only node there is connected.
    {dns, 'CN_OK', _} = event(P, found, node()),
    {dns, 'CN_OK', _} = event(P, found, at(Base, "127.0.0.9")),
    {dns, 'CN_OK', _} = event(P, found, at(Base, "fd00::7")),
    {dns, 'CN_OK', _} = event(P, up, node()),
    connected(C).

%% Who is not in the answer any more is gone, and only who was in it.
dns_drops(_) ->
    C = name("disc"),
    Peer = name("peer"),
    {Server, Word} = dns_server(addresses([?LOOPBACK])),
    P = start(C, ["drop", "base=" ++ base(Peer), Word, "interval=100",
                  "dns=app.test", "list=" ++ atom_to_list(node())]),
    cnode_test:with_peer(#{name => Peer}, fun(_, _) ->
        {dns, 'CN_OK', _} = event(P, up, Peer),
        connected(C),
        become(Server, addresses([])),
        {'-', 'CN_OK', _} = event(P, gone, Peer),
        wait_until(fun() ->
                           not lists:member(C, rpc:call(Peer, erlang, nodes,
                                                        [connected]))
                   end),
        connected(C),
        become(Server, addresses([?LOOPBACK])),
        {dns, 'CN_OK', _} = event(P, up, Peer)
    end).

%% A server that does not know, or sends rubbish, takes nobody away; one that
%% says that there is no such name does.
dns_trouble(_) ->
    C = name("disc"),
    Node = at("app", "127.0.0.9"),
    {Server, Word} = dns_server(addresses([{127, 0, 0, 9}])),
    P = start(C, ["report", "base=app", "family=4", Word, "interval=50",
                  "dns=app.test"]),
    {dns, 'CN_OK', _} = event(P, found, Node),
    become(Server, fun(_, _) -> {2, []} end),
    {dns, 'CN_EHOST', Text} = event(P, error, '-'),
    ?assertMatch({0, _}, binary:match(Text, <<"app.test: ">>)),
    become(Server, fun(_, _) -> {0, [{1, <<1, 2, 3>>}]} end),
    {dns, 'CN_EPROTO', _} = event(P, error, '-'),
    ?assertEqual([], [E || E <- events(P), element(1, E) =:= gone]),
    become(Server, fun(_, _) -> {3, []} end),
    {'-', 'CN_OK', _} = event(P, gone, Node),
    become(Server, addresses([{127, 0, 0, 9}])),
    {dns, 'CN_OK', _} = event(P, found, Node).

%% As /etc/resolv.conf says, which is another one for the driver only.
dns_of_the_system(_) ->
    os:cmd("unshare --mount true; echo $?") =:= "0\n"
        orelse throw({skip, "the kernel forbids mount namespaces here"}),
    Asks = fun(33, "_srv.app.test") -> {0, [srv_record("pod-1.app.test")]};
              (Type, "app.test") -> (addresses([{127, 0, 0, 9}]))(Type, x);
              (_, _) -> {3, []}
           end,
    case dns_server(?SYSTEM_DNS, ?DNS_PORT, Asks) of
        {error, _} -> throw({skip, "port 53 cannot be used here"});
        _ -> ok
    end,
    Conf = cnode_test:file(["nameserver ", inet:ntoa(?SYSTEM_DNS), "\n",
                            "options timeout:1 attempts:2\n"], 8#644),
    P = start(name("disc"),
              ["report", "base=app", "interval=100", "dns=app.test",
               "srv=_srv.app.test"],
              ["unshare", "--mount", "sh", "-c",
               "mount --bind " ++ Conf ++ " $(readlink -f /etc/resolv.conf) "
               "&& exec \"$@\"", "sh"]),
    Found = lists:sort([found(P), found(P)]),
    ?assertEqual([at("app", "127.0.0.9"), at("app", "pod-1.app.test")], Found).

found(P) ->
    case parse(line(P)) of
        {found, Node, _, _, _} -> Node;
        _ -> found(P)
    end.

srv(_) ->
    C = name("disc"),
    Base = base(node()),
    {Server, Word} =
        dns_server(fun(33, "app.test") ->
                           {0, [srv_record("127.0.0.1"),
                                srv_record("pod-1.app.test")]}
                   end),
    P = start(C, ["base=" ++ Base, Word, "interval=100", "srv=app.test"]),
    {srv, 'CN_OK', _} = event(P, found, at(Base, "pod-1.app.test")),
    {srv, 'CN_OK', _} = event(P, up, node()),
    connected(C),
    become(Server, fun(33, _) -> {0, [srv_record("127.0.0.1")]} end),
    {'-', 'CN_OK', _} = event(P, gone, at(Base, "pod-1.app.test")).

%% ------------------------------------------------------------------ gossip

%% A socket as libcluster opens it, and the words for the driver.
gossip_socket() ->
    gossip_socket(?GROUP).

gossip_socket(Group) ->
    Port = udp_port(),
    {ok, S} = gen_udp:open(Port, [binary, {active, true}, {ip, {0, 0, 0, 0}},
                                  {reuseaddr, true}, {broadcast, true},
                                  {multicast_if, ?LOOPBACK},
                                  {multicast_ttl, 1}, {multicast_loop, true},
                                  {add_membership, {Group, ?LOOPBACK}}]),
    {S, Port, ["interval=200", "interface=127.0.0.1",
               "group=" ++ inet:ntoa(Group),
               "port=" ++ integer_to_list(Port)]}.

udp_port() ->
    {ok, S} = gen_udp:open(0, []),
    {ok, Port} = inet:port(S),
    gen_udp:close(S),
    Port.

heartbeat(Node) ->
    <<"heartbeat::", (term_to_binary(#{node => Node}))/binary>>.

encrypt(Plain, Secret) ->
    Iv = crypto:strong_rand_bytes(16),
    N = 16 - byte_size(Plain) rem 16,
    Padded = <<Plain/binary, (binary:copy(<<N>>, N))/binary>>,
    Key = crypto:hash(sha256, Secret),
    <<Iv/binary,
      (crypto:crypto_one_time(aes_256_cbc, Key, Iv, Padded, true))/binary>>.

decrypt(<<Iv:16/binary, Bytes/binary>>, Secret) ->
    Key = crypto:hash(sha256, Secret),
    Padded = crypto:crypto_one_time(aes_256_cbc, Key, Iv, Bytes, false),
    N = binary:last(Padded),
    Size = byte_size(Padded) - N,
    <<Plain:Size/binary, Padding/binary>> = Padded,
    ?assertEqual(binary:copy(<<N>>, N), Padding),
    Plain.

%% What comes from somebody else than this node, to which multicasts come back.
hear(S, Own) ->
    receive
        {udp, S, _, _, Own} -> hear(S, Own);
        {udp, S, _, _, Bytes} -> Bytes
    after ?WAIT -> ct:fail(silence)
    end.

%% Both hear of one another; who of them connects is all the same.
gossip(_) ->
    C = name("disc"),
    {S, Port, Words} = gossip_socket(),
    P = start(C, Words ++ ["gossip"]),
    <<"heartbeat::", Term/binary>> = hear(S, none),
    ?assertEqual(#{node => C}, binary_to_term(Term)),
    ?assertEqual(<<131, 116, 1:32, 119, 4, "node", 119>>,
                 binary:part(Term, 0, 13)),
    ok = gen_udp:send(S, ?GROUP, Port, heartbeat(node())),
    {gossip, 'CN_OK', _} = event(P, found, node()),
    {gossip, 'CN_OK', _} = event(P, up, node()),
    connected(C),
    %% It goes on, and the node has a name once only.
    Hearts = [hear(S, heartbeat(node())) || _ <- [1, 2, 3]],
    ?assertEqual([<<"heartbeat::", Term/binary>>], lists:usort(Hearts)),
    ?assertNot(lists:keymember(C, 2, events(P))).

%% What releases before 26, and after, write.
gossip_forms(_) ->
    {S, Port, Words} = gossip_socket(),
    P = start(name("disc"), ["report" | Words] ++ ["gossip"]),
    _ = hear(S, none), % it listens
    [begin
         Node = at(Base, "127.0.0.1"),
         Name = atom_to_binary(Node),
         ok = gen_udp:send(S, ?GROUP, Port,
                           ["heartbeat::", 131, 116, 0, 0, 0, 1, Atom("node"),
                            Atom(Name)]),
         {gossip, 'CN_OK', _} = event(P, found, Node)
     end || {Base, Atom} <- [{"old", fun(N) ->
                                         <<100, (iolist_size(N)):16,
                                           (iolist_to_binary(N))/binary>>
                                     end},
                             {"new", fun(N) -> [119, iolist_size(N), N] end},
                             {"long", fun(N) ->
                                         <<118, (iolist_size(N)):16,
                                           (iolist_to_binary(N))/binary>>
                                      end}]].

gossip_secret(_) ->
    C = name("disc"),
    {S, Port, Words} = gossip_socket(),
    P = start(C, Words ++ ["secret=somepassword", "gossip"]),
    [One, Two] = [hear(S, none) || _ <- [1, 2]],
    <<"heartbeat::", Term/binary>> = decrypt(One, <<"somepassword">>),
    ?assertEqual(#{node => C}, binary_to_term(Term)),
    ?assertEqual(decrypt(One, "somepassword"), decrypt(Two, "somepassword")),
    ?assertNotEqual(binary:part(One, 0, 16), binary:part(Two, 0, 16)),
    ok = gen_udp:send(S, ?GROUP, Port,
                      encrypt(heartbeat(node()), <<"somepassword">>)),
    {gossip, 'CN_OK', _} = event(P, up, node()),
    connected(C).

%% Without the secret nobody is found, and it is told.
gossip_wrong_secret(_) ->
    {S, Port, Words} = gossip_socket(),
    P = start(name("disc"), Words ++ ["secret=somepassword", "gossip"]),
    _ = hear(S, none), % it listens
    [ok = gen_udp:send(S, ?GROUP, Port, Bytes)
     || Bytes <- [heartbeat(node()), encrypt(heartbeat(node()), <<"other">>)]],
    {gossip, 'CN_EPROTO', _} = event(P, error, '-'),
    Right = at("right", "127.0.0.1"),
    ok = gen_udp:send(S, ?GROUP, Port,
                      encrypt(heartbeat(Right), <<"somepassword">>)),
    [Right] = [N || {found, N, _, _, _} <- until_found(P)].

until_found(P) ->
    E = parse(line(P)),
    case element(1, E) of
        found -> [E];
        _ -> [E | until_found(P)]
    end.

gossip_broadcast(_) ->
    C = name("disc"),
    Port = udp_port(),
    {ok, S} = gen_udp:open(Port, [binary, {active, true}, {ip, {0, 0, 0, 0}},
                                  {reuseaddr, true}, {broadcast, true}]),
    P = start(C, ["interval=200", "broadcast", "group=127.255.255.255",
                  "port=" ++ integer_to_list(Port), "gossip"]),
    ?assertEqual(heartbeat_27(C), hear(S, none)),
    ok = gen_udp:send(S, {127, 255, 255, 255}, Port, heartbeat(node())),
    {gossip, 'CN_OK', _} = event(P, up, node()),
    connected(C).

heartbeat_27(Node) ->
    Name = atom_to_binary(Node),
    <<"heartbeat::", 131, 116, 1:32, 119, 4, "node", 119, (byte_size(Name)),
      Name/binary>>.

%% Three nodes without an Erlang node among them.
gossip_between_c(_) ->
    {S, _, Words} = gossip_socket(),
    gen_udp:close(S),
    Names = [A, B, C] = [name("disc") || _ <- [1, 2, 3]],
    [P, Q, R] = [start(N, Words ++ ["gossip"]) || N <- Names],
    [wait_until(fun() -> lists:sort(seen(up, Port)) =:= lists:sort(Others) end)
     || {Port, Others} <- [{P, [B, C]}, {Q, [A, C]}, {R, [A, B]}]].

%% The nodes of all events of this kind so far.
seen(Kind, Port) ->
    Old = case get(Port) of undefined -> []; L -> L end,
    All = Old ++ events(Port),
    put(Port, All),
    [element(2, E) || E <- All, element(1, E) =:= Kind].

%% As libcluster before 3.3.
gossip_old_group(_) ->
    {S, _, Words} = gossip_socket({230, 1, 1, 251}),
    C = name("disc"),
    _ = start(C, Words ++ ["gossip"]),
    ?assertEqual(heartbeat_27(C), hear(S, none)).

%% Forged names: so many a second, so many in all, and the node is as well as
%% ever.
gossip_floods(_) ->
    C = name("disc"),
    {S, Port, Words} = gossip_socket(),
    P = start(C, Words ++ ["max_nodes=25", "listen", "gossip"]),
    {os_pid, Os} = erlang:port_info(P, os_pid),
    pong = net_adm:ping(C),
    Before = cnode_test:rss(#{os_pid => Os}),
    Began = erlang:monotonic_time(millisecond),
    [ok = gen_udp:send(S, ?GROUP, Port,
                       heartbeat_27(at(I, "nohost.invalid")))
     || I <- lists:seq(1, 5000)],
    pong = net_adm:ping(C),
    timer:sleep(1100),
    [ok = gen_udp:send(S, ?GROUP, Port,
                       heartbeat_27(at(I, "nohost.invalid")))
     || _ <- lists:seq(1, 20), I <- lists:seq(1, 50)],
    pong = net_adm:ping(C),
    %% It has told what it has found, which is on its way here.
    wait_until(fun() -> length(seen(found, P)) >= 10 end),
    Seconds = (erlang:monotonic_time(millisecond) - Began) / 1000,
    Found = seen(found, P),
    ct:log("~p names in ~p s", [length(Found), Seconds]),
    ?assert(length(Found) =< min(25, 10 + 10 * Seconds + 1)),
    wait_until(fun() -> cnode_test:rss(#{os_pid => Os}) < Before + 20000 end).

%% Datagrams of all kinds and sizes.
gossip_garbage(_) ->
    C = name("disc"),
    {S, Port, Words} = gossip_socket(),
    P = start(C, Words ++ ["gossip"]),
    Whole = heartbeat_27(at("cut", "127.0.0.1")),
    Cut = [binary:part(Whole, 0, N) || N <- lists:seq(0, byte_size(Whole) - 1)],
    Random = [rand:bytes(rand:uniform(3000)) || _ <- lists:seq(1, 200)],
    Large = [binary:copy(<<"heartbeat::">>, 5000), binary:copy(<<0>>, 2048),
             <<"heartbeat::", 131, 116, -1:32>>,
             <<"heartbeat::", (term_to_binary(#{node => 17}))/binary>>,
             <<"heartbeat::", (term_to_binary(#{node => nohost}))/binary>>,
             <<"heartbeat::", (term_to_binary(#{}))/binary>>],
    [ok = gen_udp:send(S, ?GROUP, Port, Bytes)
     || Bytes <- Cut ++ Random ++ Large],
    %% Of many datagrams at once some are lost.
    wait_until(fun() ->
                       ok = gen_udp:send(S, ?GROUP, Port, heartbeat(node())),
                       timer:sleep(50),
                       lists:member(node(), seen(up, P))
               end),
    connected(C).

%% ------------------------------------------------------------- cnode serve

serve(_) ->
    Peer = name("peer"),
    #{node := C} = Serve =
        cnode_test:serve(
          #{args => ["--discover", "list:" ++ atom_to_list(Peer),
                     "--discover", "epmd:127.0.0.1"]}),
    connected(C),
    cnode_test:with_peer(#{name => Peer}, fun(_, _) ->
        wait_until(fun() ->
                           lists:member(C, rpc:call(Peer, erlang, nodes,
                                                    [connected]))
                   end)
    end),
    cnode_test:stop(Serve).

serve_bad_words(_) ->
    [begin
         {2, <<>>, Text} =
             cnode_test:run(["serve", "--name", "x@127.0.0.1", "--no-epmd",
                             "--discover", Word]),
         ?assertNotEqual(nomatch, string:find(Text, Part))
     end || {Word, Part} <- [{"nonsense", "--discover"}, {"list:", "--discover"},
                             {"list:a@b@c", "a@b@c"}, {"dns:", "--discover"},
                             {"gossip:0", "--discover"},
                             {"gossip:x", "--discover"},
                             {"dns:a@", "--discover"}]].

%% The secret of gossip comes from the environment or a file.
serve_secret(_) ->
    File = cnode_test:file(<<"somepassword\n">>, 8#600),
    [begin
         {S, Port, _} = gossip_socket(),
         Serve = #{node := C} =
             cnode_test:serve(Opts#{args => ["--discover",
                                             lists:concat(["gossip:", Port]),
                                             "--gossip-interface", "127.0.0.1",
                                             "--gossip-group",
                                             inet:ntoa(?GROUP) | Args]}),
         Plain = decrypt(hear(S, none), <<"somepassword">>),
         ?assertEqual(heartbeat_27(C), Plain),
         cnode_test:stop(Serve),
         gen_udp:close(S)
     end || {Opts, Args} <-
                [{#{env => [{"CNODE_GOSSIP_SECRET", "somepassword"}]}, []},
                 {#{}, ["--gossip-secret-file", File]}]].

%% A name that is misspelt is told once, also without -v.
serve_warns(_) ->
    Serve = cnode_test:serve(#{args => ["--discover", "list:nope@127.0.0.1"]}),
    wait_until(fun() -> cnode_test:stderr(Serve) =/= <<>> end),
    cnode_test:stop(Serve),
    ?assertMatch({match, _},
                 re:run(cnode_test:stderr(Serve),
                        "^[^\n]*warning: discover: nope@127.0.0.1 of list "
                        "cannot be connected to yet: [^\n]* the name is not "
                        "registered\n$")).

serve_no_secret(_) ->
    Empty = cnode_test:file(<<"\nsecret\n">>, 8#600),
    [begin
         {6, <<>>, Text} =
             cnode_test:run(["serve", "--name", "x@127.0.0.1", "--no-epmd",
                             "--discover", "gossip", "--gossip-secret-file",
                             File]),
         ?assertNotEqual(nomatch, string:find(Text, File ++ ": " ++ Why))
     end || {File, Why} <- [{"/no/such", "No such file or directory"},
                            {"/tmp", "Is a directory"},
                            {Empty, "its first line is empty"}]].
