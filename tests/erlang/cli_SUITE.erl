%% SPDX-License-Identifier: Apache-2.0
%%
%% The `cnode` command as a script sees it: what it writes on stdout and on
%% stderr, to the letter, and its exit status, for every command of cnode(1).
%% The commands that need a peer run once against a visible node of Erlang and
%% once against a hidden one.
-module(cli_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [run/1, run/2, unique/1, unique_node/1, wait_until/1]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [{group, visible}, {group, hidden}, {group, ways_to_fail}, {group, names},
     {group, cookies}, {group, usage}, {group, output}, {group, term},
     {group, serve}].

groups() ->
    [{visible, [], peer()},
     {hidden, [], peer()},
     {ways_to_fail, [],
      [node_unknown, name_in_use, node_of_another_name, host_unknown,
       epmd_down, closed_port, not_erlang, silent_service, epmd_not_epmd,
       stopped_node, node_not_allowed, connection_lost, address_forms,
       address_of_ipv6, address_of_unix_socket]},
     {names, [],
      [names, names_of_host, names_none, names_control_characters,
       names_fail]},
     {cookies, [],
      [cookie_of_environment, cookie_of_home, cookie_of_xdg, cookie_of_file,
       cookie_of_descriptor, cookie_that_never_comes, cookie_with_nul,
       cookie_of_home_unusable, cookie_of_option, cookie_open_to_others,
       no_cookie, cookie_rejected_by_serve]},
     {usage, [],
      [unknown_command, unknown_option, bad_options, options_not_for_command,
       options_as_in_help, one_cookie,
       number_of_arguments, bad_arguments, tls_refused, help, version]},
     {output, [],
      [full_disk, closed_pipe, closed_pipe_quiet, closed_descriptors,
       few_descriptors, reader_leaves, unread_output, unended_input, alarm_of_others, full_file]},
     {term, [],
      [term_formats, term_defaults, term_files, term_round_trips,
       term_json_is_json, term_compressed, term_bad_input]},
     {serve, [],
      [serve_sigterm, serve_sigint, serve_visibility, serve_name_taken,
       serve_port_taken, serve_without_epmd, serve_epmd_down,
       serve_epmd_silent, serve_ipv6,
       serve_connect_fails, serve_connect_times_out, serve_starts_again,
       serve_usage,
       serve_unread_log]}].

peer() ->
    [ping, ping_as, call, call_formats, call_unicode, call_large, call_raises,
     call_undef, call_too_large, call_timeout, call_output, call_output_dropped,
     call_output_encodings, call_no_input, call_bad_output, cast, cast_output,
     cast_undef, send, send_nobody, quiet, verbose].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

init_per_group(Group, Config)
  when Group =:= names; Group =:= usage; Group =:= term; Group =:= serve ->
    Config;
init_per_group(Group, Config) ->
    Args = ["-hidden" || Group =:= hidden],
    {Peer, Node} = cnode_test:start_peer(#{args => Args}),
    [{peer, Peer}, {node, Node} | Config].

end_per_group(_, Config) ->
    case ?config(peer, Config) of
        undefined -> ok;
        Peer -> cnode_test:stop_peer(Peer)
    end.

end_per_testcase(_, _) ->
    cnode_test:stop_all().

%% ------------------------------------------------------------- what is told

node_text(Config) ->
    atom_to_list(?config(node, Config)).

program() ->
    filename:basename(os:getenv("CNODE")).

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).

%% The command did it: Out is all of stdout, and nothing is on stderr.
done(Out, Args) ->
    done(Out, Args, #{}).

done(Out, Args, Opts) ->
    ?assertEqual({0, unicode:characters_to_binary(Out), <<>>},
                 run(Args, Opts)).

%% It failed: nothing on stdout, and Lines on stderr. A line that does not
%% begin with "hint: " is one of the command.
fails(Status, Lines, Args) ->
    fails(Status, Lines, Args, #{}).

fails(Status, Lines, [Command | _] = Args, Opts) ->
    fails(Status, Command ++ ": ", Lines, Args, Opts).

fails(Status, Before, Lines, Args, Opts) ->
    Text = [case Line of
                "hint: " ++ _ -> [Line, $\n];
                <<"hint: ", _/binary>> -> [Line, $\n];
                _ -> [program(), ": ", Before, Line, $\n]
            end || Line <- Lines],
    ?assertEqual({Status, <<>>, unicode:characters_to_binary(Text)},
                 run(Args, Opts)).

%% --------------------------------------------------------------------- ping

ping(Config) ->
    pong(run(["ping", node_text(Config)])),
    pong(run(["ping", node_text(Config), "--visible"])).

pong({0, Out, <<>>}) ->
    ?assertMatch({match, _},
                 re:run(Out, "^pong [0-9]+\\.[0-9][0-9] ms\n$")).

%% By what name and how it is known there.
ping_as(Config) ->
    Node = node_text(Config),
    Name = atom_to_list(unique_node("c")),
    Nodes = fun(Options, Type) ->
                    alone(Config),
                    {0, Out, <<>>} =
                        run(["call", Node, "erlang:nodes", Type] ++ Options),
                    cnode_test:parse(Out)
            end,
    pong(run(["ping", Node, "-n", Name])),
    alone(Config),
    pong(run(["ping", Node, "--name=" ++ Name, "--visible"])),
    ?assertEqual([list_to_atom(Name)], Nodes(["-n", Name], "[hidden]")),
    ?assertEqual([], Nodes(["-n", Name], "[visible]")),
    ?assertEqual([list_to_atom(Name)],
                 Nodes(["--visible", "-n" ++ Name], "[connected]")),
    %% Given by the peer.
    ?assertMatch([_], Nodes([], "[hidden]")).

%% Until the peer has noticed that the last command is gone: it has its name
%% till then.
alone(Config) ->
    wait_until(fun() ->
                       [] =:= peer:call(?config(peer, Config), erlang, nodes,
                                        [connected], ?WAIT)
               end).

%% --------------------------------------------------------------------- call

call(Config) ->
    Node = node_text(Config),
    [begin
         done("[1,2,3,4,5,6,7,8,9,10]\n",
              ["call", Node, "lists:seq", "[1,10]"] ++ By),
         done(["'", Node, "'\n"], ["call", Node, "erlang:node"] ++ By),
         done("{ok,\"a\\nb\",<<\"c\">>,1.5,#{k => v}}\n",
              ["call", Node, "erlang:hd",
               "[[{ok, \"a\\nb\", <<\"c\">>, 1.5, #{k => v}}]]"] ++ By),
         done("-7\n", ["call", Node, "erlang:-", "[7]"] ++ By),
         done("3\n", ["call", Node, "'erlang':'+'", "[1, 2]"] ++ By),
         done("3\n", ["call", Node, "erlang:'+'", "[1, 2].\n"] ++ By)
     end || By <- [[], ["--rpc"]]].

call_formats(Config) ->
    Call = ["call", node_text(Config), "erlang:hd"],
    Term = "[[{ok, [1, 2.5], <<\"x\">>, \"y\"}]]",
    done("{\"t\":[{\"a\":\"ok\"},[1,2.5],\"x\",[121]]}\n",
         Call ++ [Term, "--format", "json"]),
    done("{ok,[1,2.5],<<\"x\">>,\"y\"}\n", Call ++ [Term, "--format", "raw"]),
    done("{ok,[1,2.5],<<\"x\">>,\"y\"}\n",
         Call ++ [Term, "--format", "erlang"]),
    [done(<<"a\nb">>, Call ++ [T, "--format=raw"])
     || T <- ["[[<<\"a\\nb\">>]]", "[[\"a\\nb\"]]", "[[[\"a\", <<$\\n>>|<<$b>>]]]"]],
    ?assertEqual({0, <<0, 255>>, <<>>},
                 run(Call ++ ["[[<<0, 255>>]]", "--format", "raw"])),
    {0, Pid, <<>>} = run(["call", node_text(Config), "erlang:self",
                          "--format", "json"]),
    ?assertMatch({match, _},
                 re:run(Pid, "^{\"pid\":\\[\"" ++ node_text(Config) ++
                            "\",[0-9]+,[0-9]+,[0-9]+\\]}\n$")).

call_unicode(Config) ->
    Call = fun(F, Args, More) ->
                   ["call", node_text(Config), F,
                    unicode:characters_to_binary(Args) | More]
           end,
    done("'日本'\n", Call("erlang:hd", "[['日本']]", [])),
    done("<<\"日本\"/utf8>>\n", Call("erlang:hd", "[[<<\"日本\"/utf8>>]]", [])),
    done("[26085,26412]\n",
         Call("unicode:characters_to_list", "[<<\"日本\"/utf8>>]", [])),
    done("日本", Call("erlang:hd", "[[\"日本\"]]", ["--format", "raw"])),
    done("日本𝄞",
         Call("erlang:hd", "[[<<\"日本𝄞\"/utf8>>]]", ["--format", "raw"])),
    done("\"日本\"\n",
         Call("erlang:hd", "[[<<\"日本\"/utf8>>]]", ["--format", "json"])).

call_large(Config) ->
    Node = node_text(Config),
    {0, Out, <<>>} = run(["call", Node, "lists:seq", "[1,100000]"]),
    ?assertEqual(lists:seq(1, 100000), cnode_test:parse(Out)),
    {0, Raw, <<>>} = run(["call", Node, "binary:copy",
                          "[<<\"ab\">>, 5000000]", "--format", "raw"]),
    ?assert(Raw =:= binary:copy(<<"ab">>, 5000000)),
    Args = lists:flatten(io_lib:format("[~w]", [lists:seq(1, 20000)])),
    done("20000\n", ["call", Node, "erlang:length", Args]).

call_raises(Config) ->
    Node = node_text(Config),
    [begin
         What = text("erlang:~ts/1 on ~ts raised ~ts:{foo,\"bar\"}",
                     [F, Node, F]),
         fails(1, [What], ["call", Node, "erlang:" ++ F, "[{foo, \"bar\"}]"])
     end || F <- ["error", "exit", "throw"]],
    fails(1, [text("lists:seq/2 on ~ts raised error:function_clause", [Node])],
          ["call", Node, "lists:seq", "[a, b]"]),
    %% By rex it is as rpc:call of old: what is thrown is returned.
    done("foo\n", ["call", Node, "erlang:throw", "[foo]", "--rpc"]),
    fails(1, [text("erlang:exit/1 on ~ts failed: badrpc: {'EXIT',foo}",
                   [Node])],
          ["call", Node, "erlang:exit", "[foo]", "--rpc"]).

call_undef(Config) ->
    Node = node_text(Config),
    Hint = "hint: is the module no loaded there, and does it export such/1?",
    fails(1, [text("no:such/1 on ~ts raised error:undef", [Node]), Hint],
          ["call", Node, "no:such", "[1]"]),
    fails(1, [text("no:such/1 on ~ts failed: badrpc: "
                   "{'EXIT',{undef,[{no,such,[1],[]}]}}", [Node]), Hint],
          ["call", Node, "no:such", "[1]", "--rpc"]).

call_too_large(Config) ->
    Node = node_text(Config),
    Call = ["call", Node, "binary:copy", "[<<\"x\">>, 100000]"],
    {0, _, <<>>} = run(Call ++ ["--max-frame", "101000"]),
    {3, <<>>, Err} = run(Call ++ ["--max-frame", "100000"]),
    ?assertMatch({match, _},
                 re:run(Err, Node ++ ": a message of [0-9]+ bytes and more is "
                        "over the limit of 100000\n"
                        "hint: --max-frame BYTES takes larger messages\n$")).

call_timeout(Config) ->
    Node = node_text(Config),
    [fails(5, [Node ++ ": no answer within 0.5 s",
               "hint: --timeout SECONDS gives more time"],
           ["call", Node, "timer:sleep", "[600000]", "--timeout", "0.5"] ++ By)
     || By <- [[], ["--rpc"]]],
    fails(5, [Node ++ ": no answer within 0.0001 s",
              "hint: --timeout SECONDS gives more time"],
          ["call", Node, "timer:sleep", "[600000]", "--timeout", "0.0001"]).

%% By every call of the module io, and the result behind it.
call_output(Config) ->
    [done("one\ntwo 2\nthree €\n\n{four,[52]}\nfive\ndone\n",
          ["call", node_text(Config), "cnode_test:talk"] ++ By)
     || By <- [[], ["--rpc"]]],
    %% What was written before it failed stays written.
    Args = "[fun io:put_chars/1, [\"first\\n\", nochars]]",
    {1, Out, Err} = run(["call", node_text(Config), "lists:foreach", Args]),
    ?assertEqual(<<"first\n">>, Out),
    ?assertMatch({match, _}, re:run(Err, "raised error:badarg\n$")).

call_output_dropped(Config) ->
    [done("done\n", ["call", node_text(Config), "cnode_test:talk",
                     "--no-output"] ++ By) || By <- [[], ["--rpc"]]].

call_output_encodings(Config) ->
    Call = fun(F, Args) ->
                   ["call", node_text(Config), F,
                    unicode:characters_to_binary(Args)]
           end,
    done("é€𝄞\nok\n", Call("io:put_chars", "[[233, 16#20ac, 16#1d11e, 10]]")),
    done("é\nok\n", Call("io:format", "[\"~ts~n\", [<<\"é\"/utf8>>]]")),
    done("é\nok\n", Call("io:format", "[\"~s~n\", [[233]]]")).

call_no_input(Config) ->
    done("{error,enotsup}\n",
         ["call", node_text(Config), "io:get_line", "[\"prompt\"]"]).

call_bad_output(Config) ->
    Node = node_text(Config),
    fails(1, [text("io:put_chars/1 on ~ts raised error:badarg", [Node])],
          ["call", Node, "io:put_chars", "[{no, chars}]"]).

%% --------------------------------------------------------------- cast, send

cast(Config) ->
    Node = node_text(Config),
    Key = unique("key"),
    done("", ["cast", Node, "application:set_env",
              "[kernel, " ++ Key ++ ", {1, \"x\"}]"]),
    Get = fun() ->
                  peer:call(?config(peer, Config), application, get_env,
                            [kernel, list_to_atom(Key)],
                            ?WAIT) =:= {ok, {1, "x"}}
          end,
    wait_until(Get).

%% It has somewhere to go, even when the command has ended before.
cast_output(Config) ->
    Peer = ?config(peer, Config),
    Key = list_to_atom(unique("key")),
    done("", ["cast", node_text(Config), "cnode_test:print_alone",
              text("[~w]", [Key])]),
    wait_until(fun() ->
                       peer:call(Peer, application, get_env, [kernel, Key],
                                 ?WAIT)
                           =:= {ok, ok}
               end).

cast_undef(Config) ->
    done("", ["cast", node_text(Config), "no:such"]).

send(Config) ->
    Peer = ?config(peer, Config),
    Name = unique("box"),
    Box = list_to_atom(Name ++ " ü"),
    Pid = peer:call(Peer, cnode_test, mailbox, [Box], ?WAIT),
    Quoted = unicode:characters_to_binary(["'", Name, " ü'"]),
    Plain = unicode:characters_to_binary([Name, " ü"]),
    Received = fun() -> peer:call(Peer, cnode_test, received, [Box], ?WAIT) end,
    %% The next one only when the last one, which was taken, is there.
    [begin
         done("", ["send", node_text(Config) | Args]),
         wait_until(fun() -> length(Received()) >= N end)
     end || {N, Args} <- [{1, [Quoted, "{hello, [1, 2.5], \"x\"}"]},
                          {2, [Plain, "<<1:1>>"]}, {3, [Plain, "--", "-1"]},
                          {4, [Plain, "-2 ."]}]],
    ?assertEqual([{hello, [1, 2.5], "x"}, <<1:1>>, -1, -2], Received()),
    peer:call(Peer, erlang, exit, [Pid, kill], ?WAIT).

send_nobody(Config) ->
    done("", ["send", node_text(Config), "nobody_here", "hello"]).

%% ------------------------------------------------------------ -q, -v, -vv

quiet(Config) ->
    Node = node_text(Config),
    done(["'", Node, "'\n"], ["call", Node, "erlang:node", "-q"]),
    ?assertEqual({1, <<>>, <<>>}, run(["call", Node, "no:such", "-q"])),
    ?assertEqual({3, <<>>, <<>>},
                 run(["ping", atom_to_list(unique_node("no")), "--quiet"])),
    ?assertEqual({4, <<>>, <<>>},
                 run(["ping", Node, "-q"], #{cookie => "wrong"})),
    %% A mistake of the script.
    fails(2, ["ARGS: syntax error at line 1, column 2: the text ends too early"],
          ["call", Node, "no:such", "[", "-q"]).

verbose(Config) ->
    Node = node_text(Config),
    Call = ["call", Node, "erlang:node"],
    {0, Out, Up} = run(Call ++ ["-v"]),
    {0, Out, All} = run(Call ++ ["-vv"]),
    {0, Out, All2} = run(Call ++ ["-v", "--verbose"]),
    ?assertNotEqual(nomatch, string:find(Up, Node ++ " is up")),
    ?assertEqual(nomatch, string:find(Up, "SPAWN_REQUEST")),
    [begin
         ?assertNotEqual(nomatch, string:find(T, "to " ++ Node ++ " SPAWN_REQ")),
         ?assertNotEqual(nomatch, string:find(T, "from " ++ Node ++ " SPAWN_R"))
     end || T <- [All, All2]].

%% ------------------------------------------------------------- ways to fail

%% All commands that need a peer tell it alike; ping says pang besides.
for_each_command(Node, Fun) ->
    [Fun("pang: ", ["ping", Node]),
     Fun("", ["call", Node, "erlang:node"]),
     Fun("", ["call", Node, "erlang:node", "--rpc"]),
     Fun("", ["cast", Node, "erlang:node"]),
     Fun("", ["send", Node, "name", "hello"])].

node_unknown(_) ->
    Node = atom_to_list(unique_node("no")),
    [Name, Host] = string:split(Node, "@"),
    for_each_command(
      Node,
      fun(Verdict, Args) ->
              fails(3, [text("~ts~ts: node ~ts: EPMD at ~ts:~b: the name is "
                             "not registered",
                             [Verdict, Node, Name, Host,
                              cnode_test:epmd_port()]),
                        "hint: no node of that name runs there; `cnode names "
                        "HOST` lists those that do"], Args)
      end).

%% A node that is connected there already has the name.
name_in_use(Config) ->
    Node = node_text(Config),
    #{node := Taken} = Serve = cnode_test:serve(#{args => ["--connect", Node]}),
    Name = atom_to_list(Taken),
    for_each_command(
      Node,
      fun(Verdict, Args) ->
              fails(4, [text("~ts~ts: handshake: a node named ~ts is "
                             "connected there already", [Verdict, Node, Name]),
                        "hint: another node uses this name; choose one with "
                        "--name"], Args ++ ["--name", Name])
      end),
    ?assertEqual({ok, still_there},
                 peer:call(?config(peer, Config), gen_server, call,
                           [{echo, Taken}, still_there], ?WAIT)),
    cnode_test:stop(Serve).

node_of_another_name(Config) ->
    Node = node_text(Config),
    Other = atom_to_list(unique_node("other")),
    fails(3, [text("pang: ~ts: handshake: it says that its name is '~ts'",
                   [Other, Node]),
              "hint: a node answers to no other name than that; is the port "
              "(--address, --epmd-port) of the node that was meant?"],
          ["ping", Other, "--address", address(port_of(Config))]).

port_of(Config) ->
    [Name, _] = string:split(node_text(Config), "@"),
    {_, Port} = lists:keyfind(Name, 1, cnode_test:epmd_names()),
    Port.

address(Port) ->
    "127.0.0.1:" ++ integer_to_list(Port).

%% The text of the resolver depends on the system, and so does its time, which
%% is long where no server answers.
host_unknown(_) ->
    Opts = #{env => [{"RES_OPTIONS", "timeout:1 attempts:1"}]},
    [begin
         {3, <<>>, Err} = run(["ping", "x@" ++ Host | More], Opts),
         [First, Second, <<>>] = string:split(Err, "\n", all),
         Start = text("~ts: ping: pang: x@~ts: node x: host ~ts cannot be "
                      "resolved: ", [program(), Host, Host]),
         ?assertEqual(Start, binary:part(First, 0, byte_size(Start))),
         ?assertEqual(<<"hint: is the host's name spelt right and known here "
                        "(DNS, /etc/hosts)?">>, Second)
     end || Host <- ["no-such-host.invalid", "no-such-host-of-ours"],
            More <- [[], ["-n", "y@127.0.0.1"]]].

epmd_down(_) ->
    Port = integer_to_list(cnode_test:free_port()),
    for_each_command(
      "x@127.0.0.1",
      fun(Verdict, Args) ->
              fails(3, [Verdict ++ "x@127.0.0.1: node x: cannot connect to "
                        "EPMD at 127.0.0.1:" ++ Port ++ ": connection refused",
                        "hint: does a node run there, and may we reach its "
                        "port mapper (firewall, --epmd-port)? --address "
                        "HOST:PORT goes without it"],
                    Args ++ ["--epmd-port", Port])
      end),
    {3, <<>>, _} = run(["ping", "x@127.0.0.1"],
                       #{env => [{"ERL_EPMD_PORT", Port}]}),
    [fails(2, ["$ERL_EPMD_PORT is no port, 1 to 65535: " ++ Bad], Args,
           #{env => [{"ERL_EPMD_PORT", Bad}]})
     || Bad <- ["abc", "0", "65536", "4369x"],
        Args <- [["ping", "x@127.0.0.1"], ["names"], ["epmd"],
                 ["epmd", "--names"], ["serve", "-n", "x@127.0.0.1"]]],
    {3, <<>>, _} = run(["ping", "x@127.0.0.1", "--epmd-port", Port],
                       #{env => [{"ERL_EPMD_PORT", "abc"}]}).

closed_port(_) ->
    Address = address(cnode_test:free_port()),
    for_each_command(
      "x@127.0.0.1",
      fun(Verdict, Args) ->
              fails(3, [Verdict ++ "x@127.0.0.1: connecting to " ++ Address ++
                        ": connection refused",
                        "hint: the node is gone, or a firewall is between"],
                    Args ++ ["--address", Address])
      end).

not_erlang(_) ->
    [begin
         Address = address(service(Kind)),
         [fails(3, ["pang: x@127.0.0.1: handshake: " ++ What, Hint],
                ["ping", "x@127.0.0.1", "--address", Address] ++ Name)
          || Name <- [[], ["--name", "y@127.0.0.1"]]]
     end || {Kind, What, Hint} <-
                [{Kind, "this is not the distribution protocol",
                  "hint: are name and port right (--epmd-port, --address), "
                  "and is it an Erlang node "
                  "without TLS?"} || Kind <- [echo, http, ssh, zeros]] ++
                [{closes, "the peer closed the connection, waited for its "
                  "status (is it an Erlang node?)",
                  "hint: does the node use TLS distribution, or another "
                  "cookie? its log tells more"}]].

silent_service(_) ->
    Address = address(service(silent)),
    [fails(5, [Verdict ++ "x@127.0.0.1: no answer within 0.5 s",
               "hint: --timeout SECONDS gives more time"],
           Args ++ ["--address", Address, "--timeout", "0.5"])
     || {Verdict, Args} <- [{"pang: ", ["ping", "x@127.0.0.1"]},
                            {"", ["call", "x@127.0.0.1", "a:b"]},
                            {"pang: ", ["ping", "x@127.0.0.1", "-n",
                                        "y@127.0.0.1"]}]].

epmd_not_epmd(_) ->
    [begin
         Port = integer_to_list(service(Kind)),
         fails(3, ["pang: x@127.0.0.1: node x: EPMD at 127.0.0.1:" ++ Port ++
                   ": the answer is not EPMD's",
                   "hint: are name and port right (--epmd-port, --address), "
                  "and is it an Erlang node "
                   "without TLS?"],
               ["ping", "x@127.0.0.1", "--epmd-port", Port])
     end || Kind <- [echo, http, zeros]],
    Silent = integer_to_list(service(silent)),
    fails(5, ["pang: x@127.0.0.1: no answer within 0.5 s",
              "hint: --timeout SECONDS gives more time"],
          ["ping", "x@127.0.0.1", "--epmd-port", Silent, "--timeout", "0.5"]).

%% The kernel takes the connection for it.
stopped_node(Config) ->
    Node = node_text(Config),
    Pid = peer:call(?config(peer, Config), os, getpid, [], ?WAIT),
    cnode_test:freeze(Pid),
    try
        for_each_command(
          Node,
          fun(Verdict, Args) ->
                  Start = erlang:monotonic_time(millisecond),
                  fails(5, [Verdict ++ Node ++ ": no answer within 0.5 s",
                            "hint: --timeout SECONDS gives more time"],
                        Args ++ ["--timeout", "0.5"]),
                  ?assert(erlang:monotonic_time(millisecond) - Start >= 500)
          end)
    after
        os:cmd("kill -CONT " ++ Pid)
    end,
    pong(run(["ping", Node])).

node_not_allowed(_) ->
    cnode_test:with_peer(
      #{}, fun(Peer, Node) ->
                   ok = peer:call(Peer, net_kernel, allow, [['a@127.0.0.1']],
                                  ?WAIT),
                   pong(run(["ping", atom_to_list(Node), "-n", "a@127.0.0.1"])),
                   fails(4, [text("pang: ~ts: handshake: the peer does not "
                                  "allow the node b@127.0.0.1", [Node]),
                             "hint: the node has a list of nodes it allows "
                             "(net_kernel:allow/1); choose a name in it with "
                             "--name"],
                         ["ping", atom_to_list(Node), "-n", "b@127.0.0.1"]),
                   {4, <<>>, _} = run(["ping", atom_to_list(Node)])
           end).

connection_lost(_) ->
    cnode_test:with_peer(
      #{}, fun(_, Node) ->
                   fails(3, [text("~ts: the peer closed the connection",
                                  [Node]),
                             "hint: the node has ended, or has dropped the "
                             "connection; its log may tell why"],
                         ["call", atom_to_list(Node), "erlang:halt",
                          "--timeout", "30"])
           end).

address_forms(Config) ->
    Node = node_text(Config),
    Port = integer_to_list(port_of(Config)),
    Ping = fun(Address) -> ["ping", Node, "--address", Address,
                            "--epmd-port", "1"] end,
    pong(run(Ping("127.0.0.1:" ++ Port))),
    pong(run(Ping("localhost:" ++ Port))),
    [fails(2, ["--address needs HOST:PORT, [v6]:PORT or unix:PATH"], Ping(A))
     || A <- ["127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999",
              ":" ++ Port]].

%% With a relay between, for this Erlang does not listen there by itself.
address_of_ipv6(Config) ->
    case gen_tcp:listen(0, [inet6, {ip, {0, 0, 0, 0, 0, 0, 0, 1}}, binary,
                            {active, false}]) of
        {ok, L} ->
            {ok, Port} = inet:port(L),
            To = port_of(Config),
            spawn_link(fun() -> relay(L, To) end),
            pong(run(["ping", node_text(Config), "--address",
                      "[::1]:" ++ integer_to_list(Port)])),
            gen_tcp:close(L);
        {error, _} ->
            {skip, "no IPv6 here"}
    end.

address_of_unix_socket(Config) ->
    Path = "/tmp/" ++ unique("cnode"),
    {ok, L} = gen_tcp:listen(0, [{ifaddr, {local, Path}}, binary,
                                 {active, false}]),
    Port = port_of(Config),
    spawn_link(fun() -> relay(L, Port) end),
    pong(run(["ping", node_text(Config), "--address", "unix:" ++ Path])),
    gen_tcp:close(L),
    file:delete(Path),
    fails(3, [text("pang: ~ts: connecting to unix:~ts: no such file or "
                   "directory", [?config(node, Config), Path]),
              "hint: the node is gone, or a firewall is between"],
          ["ping", node_text(Config), "--address", "unix:" ++ Path]).

relay(Listen, Port) ->
    {ok, A} = gen_tcp:accept(Listen),
    {ok, B} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary]),
    inet:setopts(A, [{active, true}]),
    relay_bytes(A, B).

relay_bytes(A, B) ->
    receive
        {tcp, A, Bytes} -> gen_tcp:send(B, Bytes), relay_bytes(A, B);
        {tcp, B, Bytes} -> gen_tcp:send(A, Bytes), relay_bytes(A, B);
        {tcp_closed, _} -> gen_tcp:close(A), gen_tcp:close(B)
    end.

%% ------------------------------------------------- services that are no node

%% A port at which something listens, as long as the test case lives, which
%% gets {accepted, Kind} for each connection.
service(Kind) ->
    Me = self(),
    Pid = spawn(fun() ->
                        monitor(process, Me),
                        {ok, L} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}},
                                                     binary, {active, false}]),
                        {ok, Port} = inet:port(L),
                        Me ! {self(), Port},
                        spawn_link(fun() -> accept(L, Kind, Me) end),
                        receive {'DOWN', _, _, Me, _} -> exit(done) end
                end),
    receive {Pid, Port} -> Port end.

accept(L, Kind, To) ->
    {ok, S} = gen_tcp:accept(L),
    To ! {accepted, Kind},
    first_bytes(Kind, S),
    accept(L, Kind, To).

first_bytes(ssh, S) ->
    gen_tcp:send(S, "SSH-2.0-OpenSSH_9.2p1\r\n"),
    answer(silent, S);
first_bytes(Kind, S) ->
    answer(Kind, S).

answer(Kind, S) ->
    case gen_tcp:recv(S, 0) of
        {error, _} -> gen_tcp:close(S);
        {ok, Bytes} -> answer(Kind, Bytes, S)
    end.

answer(silent, _, S) ->
    answer(silent, S);
answer(echo, Bytes, S) ->
    gen_tcp:send(S, Bytes),
    answer(echo, S);
answer(zeros, _, S) ->
    gen_tcp:send(S, <<0:4096/unit:8>>),
    answer(silent, S);
answer(http, _, S) ->
    gen_tcp:send(S, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    gen_tcp:close(S);
answer({names, Text}, <<1:16, $n>>, S) ->
    gen_tcp:send(S, [<<4369:32>>, Text]),
    gen_tcp:close(S);
answer(closes, _, S) ->
    gen_tcp:close(S).

%% -------------------------------------------------------------------- names

names(_) ->
    Two = [_, _] = [cnode_test:serve(#{}) || _ <- [1, 2]],
    Wanted = [text("~ts ~b", [hd(string:split(atom_to_list(N), "@")), P])
              || #{node := N, port := P} <- Two],
    %% Nodes of other cases may be about to go.
    Out = wait_until(fun() ->
                             Same = [run(["names" | Host])
                                     || Host <- [[], ["127.0.0.1"],
                                                 ["localhost"]]],
                             case lists:usort(Same) of
                                 [{0, Names, <<>>}] -> Names;
                                 _ -> false
                             end
                     end),
    Lines = string:lexemes(Out, "\n"),
    ?assertEqual([], Wanted -- Lines),
    ?assertEqual(lists:sort(Lines), Lines),
    [cnode_test:stop(S) || S <- Two].

%% In the order of the names, and whatever the order at EPMD.
names_of_host(_) ->
    Port = service({names, "name b at port 22\nname ab at port 11\n"
                    "name a at port 3\nname ä at port 65535\n"}),
    ?assertEqual({0, <<"a 3\nab 11\nb 22\n", 228, " 65535\n">>, <<>>},
                 run(["names", "127.0.0.1", "--epmd-port",
                      integer_to_list(Port)])).

names_none(_) ->
    Port = integer_to_list(service({names, ""})),
    fails(1, ["no node is registered on 127.0.0.1"],
          ["names", "127.0.0.1", "--epmd-port", Port]),
    fails(1, ["no node is registered on this machine"],
          ["names", "--epmd-port", Port]).

names_control_characters(_) ->
    Port = integer_to_list(service({names, "name \e[1mx\b\d at port 1\n"})),
    done("?[1mx?? 1\n", ["names", "--epmd-port", Port]),
    %% U+009B, which is ESC [ to some terminals.
    C1 = integer_to_list(service({names, "name x\x{c2}\x{9b}2J at port 1\n"})),
    done("x??2J 1\n", ["names", "--epmd-port", C1]).

names_fail(_) ->
    Port = integer_to_list(cnode_test:free_port()),
    fails(3, ["cannot connect to EPMD at 127.0.0.1:" ++ Port ++
              ": connection refused",
              "hint: does a node run there, and may we reach its port mapper "
              "(firewall, --epmd-port)?"],
          ["names", "127.0.0.1", "--epmd-port", Port]),
    Http = integer_to_list(service(http)),
    fails(3, ["EPMD at 127.0.0.1:" ++ Http ++ ": the answer is not EPMD's",
              "hint: is this the port of EPMD? --epmd-port gives another"],
          ["names", "127.0.0.1", "--epmd-port", Http]),
    Text = integer_to_list(service({names, "hello\n"})),
    fails(3, ["127.0.0.1: what answers for EPMD does not list nodes",
              "hint: is this the port of EPMD? --epmd-port gives another"],
          ["names", "127.0.0.1", "--epmd-port", Text]),
    Long = integer_to_list(service({names, lists:duplicate(1 bsl 23, $x)})),
    fails(3, ["EPMD at 127.0.0.1:" ++ Long ++ ": the list of names is too long",
              "hint: is this the port of EPMD? --epmd-port gives another"],
          ["names", "127.0.0.1", "--epmd-port", Long]),
    Silent = integer_to_list(service(silent)),
    fails(5, ["EPMD at 127.0.0.1:" ++ Silent ++ ": no answer within 500 ms",
              "hint: --timeout SECONDS gives more time"],
          ["names", "127.0.0.1", "--epmd-port", Silent, "--timeout", "0.5"]),
    {3, <<>>, Err} = run(["names", "no-such-host.invalid"],
                         #{env => [{"RES_OPTIONS", "timeout:1 attempts:1"}]}),
    ?assertMatch([_, <<"hint: is the host's name spelt right and known here "
                       "(DNS, /etc/hosts)?">>, <<>>],
                 string:split(Err, "\n", all)).

%% ------------------------------------------------------------------ cookies

%% A wrong one from everywhere: who has to be asked is named.
rejected(Config, Source, Args, Opts) ->
    rejected(Config, [], Source, Args, Opts).

rejected(Config, Before, Source, Args, Opts) ->
    Node = node_text(Config),
    fails(4, Before ++
              [text("pang: cookie rejected by ~ts: this node used ~ts",
                    [Node, Source]),
               "hint: the nodes of a cluster share one cookie; --cookie-file "
               "or $CNODE_COOKIE gives it"],
          ["ping", Node | Args], Opts).

accepted(Config, Args, Opts) ->
    pong(run(["ping", node_text(Config) | Args], Opts)).

cookie_of_environment(Config) ->
    accepted(Config, [], #{}),
    rejected(Config, "$CNODE_COOKIE", [], #{cookie => "wrong"}),
    rejected(Config, "$CNODE_COOKIE", ["-n", "c@127.0.0.1"],
             #{cookie => "wrong"}),
    %% It comes before the file in the home.
    accepted(Config, [], #{home => home(".", "wrong")}),
    {6, <<>>, _} = run(["ping", node_text(Config)],
                       #{cookie => lists:duplicate(256, $x)}).

%% A folder with a cookie in it, as ~ or $XDG_CONFIG_HOME.
home(Folder, Cookie) ->
    Dir = filename:join(os:getenv("HOME"), unique("home")),
    Path = filename:join([Dir, Folder, ".erlang.cookie"]),
    ok = filelib:ensure_dir(Path),
    ok = file:write_file(Path, Cookie),
    ok = file:change_mode(Path, 8#400),
    Dir.

cookie_of_home(Config) ->
    Right = cnode_test:cookie(),
    accepted(Config, [], #{cookie => false, home => home(".", Right)}),
    accepted(Config, [], #{cookie => false, home => home(".", Right ++ "\n")}),
    rejected(Config, "~/.erlang.cookie", [],
             #{cookie => false, home => home(".", "wrong\n")}).

cookie_of_xdg(Config) ->
    Right = home("erlang", cnode_test:cookie()),
    Wrong = home("erlang", "wrong"),
    accepted(Config, [], #{cookie => false, config => Right}),
    rejected(Config, Wrong ++ "/erlang/.erlang.cookie", [],
             #{cookie => false, config => Wrong}),
    %% ~ comes first.
    accepted(Config, [], #{cookie => false, config => Wrong,
                           home => home(".", cnode_test:cookie())}).

cookie_of_file(Config) ->
    Right = cnode_test:file(cnode_test:cookie(), 8#600),
    Wrong = cnode_test:file("wrong\n", 8#600),
    accepted(Config, ["--cookie-file", Right], #{cookie => "wrong"}),
    rejected(Config, "file " ++ Wrong, ["--cookie-file", Wrong], #{}),
    Ping = fun(File) -> ["ping", node_text(Config), "--cookie-file", File] end,
    fails(6, ["cannot read the cookie from file /no/such: No such file or "
              "directory"], Ping("/no/such")),
    fails(6, ["cannot read the cookie from file /tmp: Is a directory"],
          Ping("/tmp")),
    [begin
         File = cnode_test:file(Bytes, 8#600),
         fails(6, ["file " ++ File ++ " holds no cookie: that is a line of 1 "
                   "to 255 printable ASCII characters"], Ping(File))
     end || Bytes <- ["", "\n", "a\tb", [233], lists:duplicate(256, $x),
                      lists:duplicate(5000, $x)]].

cookie_of_descriptor(Config) ->
    Fd = ["--cookie-fd", "3"],
    accepted(Config, Fd, #{cookie => "wrong", fd3 => cnode_test:cookie()}),
    accepted(Config, ["--cookie-fd=0"],
             #{cookie => false, stdin => cnode_test:cookie() ++ "\n"}),
    rejected(Config, "descriptor 3", Fd, #{fd3 => "wrong"}),
    %% A pipe that does not end.
    Fifo = fifo(),
    rejected(Config, "descriptor 3", Fd,
             #{wrap => "sh -c 'exec 3<>" ++ Fifo ++ "; echo wrong >&3; "
                   "exec \"$@\"' sh "}),
    fails(6, ["cannot read the cookie from descriptor 3: Bad file descriptor"],
          ["ping", node_text(Config) | Fd],
          #{wrap => "sh -c 'exec 3>&-; exec \"$@\"' sh "}).

%% Nobody writes it: --timeout is for this too.
cookie_that_never_comes(Config) ->
    Fifo = string:trim(fifo(), both, "\""),
    fails(5, ["no cookie came from file " ++ Fifo ++ " within 0.5 s"],
          ["ping", node_text(Config), "--timeout", "0.5", "--cookie-file",
           Fifo]),
    fails(5, ["no cookie came from descriptor 3 within 0.5 s"],
          ["ping", node_text(Config), "--timeout", "0.5", "--cookie-fd", "3"],
          #{wrap => "sh -c 'exec 3<>\"" ++ Fifo ++ "\"; exec \"$@\"' sh "}).

%% The cookie and something behind a NUL.
cookie_with_nul(Config) ->
    Nul = cnode_test:cookie() ++ [0, $x, $\n],
    File = cnode_test:file(Nul, 8#600),
    fails(6, ["file " ++ File ++ " holds no cookie: that is a line of 1 to 255 "
              "printable ASCII characters"],
          ["ping", node_text(Config), "--cookie-file", File]),
    Home = home(".", Nul),
    {6, <<>>, Err} = run(["ping", node_text(Config)],
                         #{cookie => false, home => Home}),
    ?assertNotEqual(nomatch, string:find(Err, "printable characters")).

%% A file at ~ that is of no use is named.
cookie_of_home_unusable(Config) ->
    Home = home(".", ""),
    {6, <<>>, Empty} = run(["ping", node_text(Config)],
                           #{cookie => false, home => Home}),
    ?assertNotEqual(nomatch, string:find(Empty, Home ++ "/.erlang.cookie")),
    ok = file:delete(Home ++ "/.erlang.cookie"),
    ok = file:make_dir(Home ++ "/.erlang.cookie"),
    {6, <<>>, Folder} = run(["ping", node_text(Config)],
                            #{cookie => false, home => Home}),
    ?assertNotEqual(nomatch, string:find(Folder, "Is a directory")),
    ok = file:del_dir(Home ++ "/.erlang.cookie").

%% On the command line others can see it: that is said, the cookie is not.
cookie_of_option(Config) ->
    Warning = "warning: other users of this machine can read what stands "
        "after --cookie; use --cookie-file",
    Args = ["ping", node_text(Config), "--cookie", cnode_test:cookie()],
    {0, Out, Err} = run(Args, #{cookie => false}),
    pong({0, Out, <<>>}),
    ?assertEqual(text("~ts: ping: ~ts\n", [program(), Warning]), Err),
    rejected(Config, [Warning], "--cookie", ["--cookie", "not-this-one"], #{}),
    {4, _, Told} = run(["ping", node_text(Config), "--cookie", "not-this-one"]),
    ?assertEqual(nomatch, string:find(Told, "not-this-one")).

cookie_open_to_others(Config) ->
    Warned = fun(File, Args, Opts) ->
                     {0, _, Err} = run(["ping", node_text(Config) | Args],
                                       Opts),
                     ?assertEqual(
                        text("~ts: ping: warning: other users may read the "
                             "cookie in ~ts; `chmod 600 ~ts` keeps it secret\n",
                             [program(), File, File]), Err)
             end,
    [begin
         File = cnode_test:file(cnode_test:cookie(), Mode),
         Warned(File, ["--cookie-file", File], #{})
     end || Mode <- [8#644, 8#640, 8#604, 8#666]],
    Home = home(".", cnode_test:cookie()),
    File = Home ++ "/.erlang.cookie",
    ok = file:change_mode(File, 8#444),
    Warned(File, [], #{cookie => false, home => Home}),
    accepted(Config, [], #{home => Home}).

no_cookie(Config) ->
    fails(6, ["no cookie: give one, or set $CNODE_COOKIE, or make "
              "~/.erlang.cookie",
              "hint: --cookie-file FILE or $CNODE_COOKIE gives the cookie of "
              "the nodes there"],
          ["ping", node_text(Config)], #{cookie => false}).

%% A C node refuses as an Erlang one does.
cookie_rejected_by_serve(_) ->
    Serve = #{node := Node} = cnode_test:serve(#{}),
    rejected([{node, Node}], "$CNODE_COOKIE", [], #{cookie => "wrong"}),
    accepted([{node, Node}], [], #{}),
    cnode_test:stop(Serve).

%% -------------------------------------------------------------------- usage

unknown_command(_) ->
    fails(2, "", ["unknown command: frobnicate",
                  "hint: `" ++ program() ++ " --help` lists the commands"],
          ["frobnicate", "x"], #{}),
    {2, <<>>, Err} = run([]),
    ?assertMatch({match, _}, re:run(Err, "^usage: .* COMMAND \\[ARGS\\]\n")),
    fails(2, "", ["unknown command: ??[1m",
                  "hint: `" ++ program() ++ " --help` lists the commands"],
          ["\n\e[1m"], #{}).

unknown_option(_) ->
    Hint = "hint: `" ++ program() ++ " COMMAND --help` lists the options",
    [fails(2, "", ["unknown option " ++ Told, Hint], Args, #{})
     || {Told, Args} <- [{"--frob", ["ping", "x@127.0.0.1", "--frob"]},
                         {"--frob", ["--frob=secret", "ping", "x@127.0.0.1"]},
                         {"-z", ["ping", "x@127.0.0.1", "-vz"]}]].

bad_options(_) ->
    Seconds = "it takes seconds, more than 0, such as 2.5",
    Port = "a port is 1 to 65535",
    Hint = "hint: `" ++ program() ++ " COMMAND --help` lists the options",
    [fails(2, "", [Told, Hint], ["ping", "x@127.0.0.1" | Args], #{})
     || {Told, Args} <-
            [{"--timeout needs a value", ["--timeout"]},
             {"--visible takes no value", ["--visible=yes"]}
             | [{"--" ++ Option ++ " was given a bad value: " ++ Wants, Values}
                || {Option, Wants, Values} <-
                       [{"timeout", Seconds, ["--timeout", "0"]},
                        {"timeout", Seconds, ["--timeout", "-1"]},
                        {"timeout", Seconds, ["--timeout=soon"]},
                        {"format", "it is erlang, json or raw",
                         ["--format", "xml"]},
                        {"from", "it is erlang, json, etf or hex",
                         ["--from", "raw"]},
                        {"epmd-port", Port, ["--epmd-port", "70000"]},
                        {"epmd-port", Port, ["--epmd-port", "0"]},
                        {"port", "a port is 0 to 65535", ["--port", "-1"]},
                        {"ticktime", "it takes a whole number, 1 or more",
                         ["--ticktime", "0"]},
                        {"max-frame", "it takes a number of bytes, 1 or more",
                         ["--max-frame", "1k"]},
                        {"cookie-fd", "it takes the number of an open file",
                         ["--cookie-fd", "x"]},
                        {"name", "it must not be empty", ["--name="]}]]]].

options_not_for_command(_) ->
    [fails(2, [Option ++ " is not for this command",
               text("hint: usage: ~ts ~ts [OPTIONS]", [program(), Usage])],
           Args ++ [Option | Value])
     || {Usage, Args} <- [{"ping NODE", ["ping", "x@127.0.0.1"]},
                          {"names [HOST]", ["names"]},
                          {"send NODE NAME TERM",
                           ["send", "x@127.0.0.1", "a", "b"]}],
        {Option, Value} <- [{"--rpc", []}, {"--no-output", []},
                            {"--to", ["hex"]}, {"--connect", ["a@b"]},
                            {"--port", ["0"]}, {"--format", ["json"]}]].

%% What the help of a command lists is taken, and nothing else.
options_as_in_help(_) ->
    Values = #{"name" => ["x@"], "from" => ["hex"], "to" => ["hex"],
               "connect" => ["a@b"], "port" => ["0"], "ticktime" => ["60"],
               "setup-time" => ["7000"], "cookie-file" => ["/none"],
               "cookie-fd" => ["9"], "cookie" => ["c"], "tls" => ["f"],
               "address" => ["a:1"], "epmd-port" => ["1"],
               "max-frame" => ["9"], "timeout" => ["1"],
               "format" => ["raw"], "capture" => ["/none/f"],
               "capture-max" => ["9"], "discover" => ["gossip"],
               "gossip-group" => ["230.1.1.251"],
               "gossip-interface" => ["127.0.0.1"],
               "gossip-secret-file" => ["/none"], "pg-scope" => ["pg"]},
    Commands = [["ping", "x@"], ["names", "h", "--epmd-port", "1"],
                ["call", "x@", "a:b"], ["cast", "x@", "a:b"],
                ["send", "x@", "a", "b"], ["term", "/none"], ["dump", "/none"],
                ["serve", "-n", "x@"]],
    Listed = [{Args, options_of([C])} || [C | _] = Args <- Commands],
    All = lists:usort(lists:append([Os || {_, Os} <- Listed]))
        -- ["help", "version"],
    ?assertEqual([], maps:keys(Values) -- All),
    [begin
         {_, <<>>, Err} = run(Args ++ ["--" ++ O | maps:get(O, Values, [])]),
         Refused = string:find(Err, "--" ++ O ++ " is not for this command")
             =/= nomatch,
         ?assertEqual({Args, O, lists:member(O, Os)}, {Args, O, not Refused})
     end || {Args, Os} <- Listed, O <- All],
    %% The help for all has those that most commands take.
    ?assertEqual(options_of(["ping"]), options_of([])).

options_of(Command) ->
    {0, Out, <<>>} = run(Command ++ ["--help"]),
    {match, Found} = re:run(Out, " --([a-z-]+)",
                            [global, {capture, all_but_first, list}]),
    lists:append(Found).

one_cookie(_) ->
    [fails(2, ["only one of --cookie-file, --cookie-fd and --cookie can be "
               "given", text("hint: usage: ~ts ping NODE [OPTIONS]",
                             [program()])],
           ["ping", "x@127.0.0.1" | Two])
     || Two <- [["--cookie", "a", "--cookie-fd", "0"],
                ["--cookie-file", "f", "--cookie", "a"],
                ["--cookie-fd", "3", "--cookie-file", "f"]]].

number_of_arguments(_) ->
    [fails(2, [Told, text("hint: usage: ~ts ~ts [OPTIONS]",
                          [program(), Usage])], Args)
     || {Told, Usage, Args} <-
            [{"too few arguments", "ping NODE", ["ping"]},
             {"too many arguments", "ping NODE", ["ping", "a@b", "c"]},
             {"too many arguments", "names [HOST]", ["names", "a", "b"]},
             {"too few arguments", "call NODE MOD:FUN [ARGS]", ["call", "a@b"]},
             {"too many arguments", "call NODE MOD:FUN [ARGS]",
              ["call", "a@b", "c:d", "[]", "e"]},
             {"too few arguments", "cast NODE MOD:FUN [ARGS]", ["cast"]},
             {"too few arguments", "send NODE NAME TERM", ["send", "a", "b"]},
             {"too many arguments", "term [FILE]", ["term", "a", "b"]},
             {"too many arguments", "serve", ["serve", "a"]}]].

%% Nothing is sent: there is no such node to send it to.
bad_arguments(_) ->
    Node = "x@127.0.0.1",
    Written = "hint: a term is written as in Erlang, such as "
        "[1,{tea,\"kg\"},'Name'], and quoted for the shell",
    Named = "hint: NAME@HOST is one, or NAME alone for this machine; without "
        "blanks",
    [begin
         [fails(2, ["not MOD:FUN, such as lists:seq: " ++ F,
                    text("hint: the arguments are a list of their own: "
                         "`~ts ~ts NODE ~ts`", [program(), C, Is])],
                [C, Node, F])
          || {F, Is} <- [{"lists:seq(1,10)", "lists:seq '[1,10]'"},
                         {"erlang:node()", "erlang:node '[]'"},
                         {"a:b(\"x\", f(1))", "a:b '[\"x\", f(1)]'"}]],
         [fails(2, ["not MOD:FUN, such as lists:seq: " ++ F,
                    text("hint: `~ts ~ts NODE lists:seq '[1,10]'` is how it is "
                         "written; a name with blanks or brackets is quoted as "
                         "in Erlang", [program(), C])], [C, Node, F])
          || F <- ["a:b('x')", "a b:c", "a:b(1) ",
                    "foo", "foo:", ":foo", "a:b:c", "'a", "'a'b:c",
                    "erlang:node/0"]],
         [fails(2, ["ARGS must be a list, such as '[1,10]'"],
                [C, Node, "a:b", Args])
          || Args <- ["{}", "1", "[1|2]", "<<>>"]],
         [fails(2, [text("ARGS: syntax error at line ~b, column ~b: ~s",
                         [L, Col, Why]), Written],
                [C, Node, "a:b", Args])
          || {Args, L, Col, Why} <-
                 [{"[1,", 1, 4, "the text ends too early"},
                  {"[1,]", 1, 4, "not expected here"},
                  {"[1\n2]", 2, 1, "not expected here"},
                  {"[X]", 1, 2, "a variable, which has no value"}]],
         fails(2, ["ARGS: no term", Written], [C, Node, "a:b", ""]),
         [fails(2, ["bad node name: " ++ Told, Named], [C, Bad, "a:b"])
          || {Bad, Told} <- [{"", ""}, {"@h", "@h"}, {"a@", "a@"},
                             {"a@b@c", "a@b@c"}, {"a b@c", "a b@c"},
                             {"a\n@b", "a?@b"}]]
     end || C <- ["call", "cast"]],
    Twice = "not a term: key or field that is there twice",
    [fails(2, ["ARGS: " ++ Twice], [C, Node, "a:b", "[#{a => 1, a => 2}]"])
     || C <- ["call", "cast"]],
    fails(2, ["TERM: " ++ Twice], ["send", Node, "a", "#{a => 1, a => 2}"]),
    fails(2, ["bad name of a process: "], ["send", Node, "", "x"]),
    fails(2, ["bad name of a process: 'x"], ["send", Node, "'x", "x"]),
    fails(2, ["TERM: syntax error at line 1, column 2: the text ends too early",
              Written], ["send", Node, "a", "{"]),
    fails(2, ["bad node name: a@", Named], ["ping", Node, "-n", "a@"]),
    fails(2, [Node ++ " is the name of this node itself: --name gives it "
              "another one"],
          ["ping", Node, "-n", Node]).

tls_refused(_) ->
    [fails(2, ["this build has no TLS: --tls cannot be used"],
           Args ++ ["--tls", "/etc/ssl_dist.conf"])
     || Args <- [["ping", "x@127.0.0.1"], ["call", "x@127.0.0.1", "a:b"],
                 ["cast", "x@127.0.0.1", "a:b"], ["serve", "-n", "x@127.0.0.1"],
                 ["send", "x@127.0.0.1", "a", "b"]]].

help(_) ->
    Commands = ["ping", "names", "call", "cast", "send", "term", "dump",
                "serve", "pg", "global"],
    {0, All, <<>>} = run(["--help"]),
    ?assertEqual({0, All, <<>>}, run(["-h"])),
    ?assertEqual({0, All, <<>>}, run(["help"])),
    [begin
         ?assertMatch({match, _}, re:run(All, "\n  " ++ C ++ " ")),
         {0, Out, <<>>} = run([C, "--help"]),
         ?assertEqual({0, Out, <<>>}, run(["-h", C])),
         ?assertEqual({0, Out, <<>>}, run(["help", C])),
         Usage = text("usage: ~ts ~ts", [program(), C]),
         ?assertEqual(Usage, binary:part(Out, 0, byte_size(Usage))),
         [begin
              ?assertMatch(_ when byte_size(L) =< 80, L),
              %% The texts are below each other.
              ?assertMatch({match, _},
                           re:run(L, "^(?! +-)|^.{30} [^ ]|^ +--[^ ]+ [^ ]+$"),
                           L)
          end || L <- string:split(Out, "\n", all)]
     end || C <- Commands].

version(_) ->
    {0, Out, <<>>} = run(["--version"]),
    ?assertMatch({match, _},
                 re:run(Out, "^cnode [0-9]+\\.[0-9]+\\.[0-9]+\n$")),
    ?assertEqual({0, Out, <<>>}, run(["call", "--version"])).

%% ------------------------------------------------------------------- output

%% The commands that write, with as much as a buffer of stdio does not hold.
writers(Config) ->
    Node = node_text(Config),
    [["ping", Node], ["names"], ["--help"], ["--version"], ["call", "--help"],
     ["call", Node, "erlang:node"],
     ["call", Node, "lists:seq", "[1,100000]"],
     ["call", Node, "lists:seq", "[1,100000]", "--format", "json"],
     ["call", Node, "binary:copy", "[<<\"x\">>,1000000]", "--format", "raw"],
     ["call", Node, "cnode_test:talk"],
     ["term", "--to", "erlang"], ["term", "--to", "json"],
     ["term", "--to", "etf"], ["term"],
     ["serve", "-n", atom_to_list(unique_node("s"))]].

not_written(Config, Wrap, Why) ->
    [begin
         Before = case Args of
                      ["-" ++ _ | _] -> "";
                      [_, "--help"] -> "call: ";
                      [C | _] -> C ++ ": "
                  end,
         fails(6, Before, ["cannot write the result: " ++ Why], Args,
               #{stdin => "{ok, 1}.\n", wrap => Wrap})
     end || Args <- writers(Config)].

full_disk(Config) ->
    not_written(Config, "sh -c 'exec \"$@\" >/dev/full' sh ",
                "No space left on device").

%% A pipe whose reader is gone for certain.
closed_pipe(Config) ->
    Fifo = fifo(),
    not_written(Config, "sh -c 'exec 4<>" ++ Fifo ++ " 5>" ++ Fifo ++
                    " 4<&-; exec \"$@\" >&5 5>&-' sh ", "Broken pipe").

%% The same where nobody has had SIGPIPE ignored, as in a shell: then it is
%% silent, and ends by that signal, as what is behind `| head` does.
closed_pipe_quiet(Config) ->
    Fifo = fifo(),
    Wrap = "env --default-signal=PIPE sh -c 'exec 4<>" ++ Fifo ++ " 5>" ++
        Fifo ++ " 4<&-; exec \"$@\" >&5 5>&-' sh ",
    [?assertEqual({Args, {128 + 13, <<>>, <<>>}},
                  {Args, run(Args, #{stdin => "{ok, 1}.\n", wrap => Wrap})})
     || Args <- writers(Config)].

%% Nobody reads on, and what was called does not end by itself.
reader_leaves(Config) ->
    Fifo = fifo(),
    fails(6, ["cannot write the result: Broken pipe"],
          ["call", node_text(Config), "cnode_test:mumble", "--timeout", "50"],
          #{wrap => "sh -c 'exec 4<>" ++ Fifo ++ " 5>" ++ Fifo ++
                " 4<&-; exec \"$@\" >&5 5>&-' sh "}).

%% Whoever starts it with an alarm gets it.
alarm_of_others(_) ->
    case os:find_executable("perl") of
        false ->
            {skip, "no perl"};
        _ ->
            ?assertMatch({Status, <<>>, <<>>} when Status =:= 14;
                                                   Status =:= 128 + 14,
                         run(["term", "--timeout", "50"],
                             #{wrap => "sh -c 'exec <>" ++ fifo() ++
                                   "; exec perl -e \"alarm 1; exec @ARGV\" "
                                   "\"$@\"' sh "}))
    end.

%% A pipe that is not read, nor closed: --timeout is for the writing as well.
unread_output(Config) ->
    Node = node_text(Config),
    Wrap = "sh -c '" ++ full(fifo()) ++ "; exec \"$@\" >&4' sh ",
    Large = cnode_test:file(["[", lists:duplicate(50000, "1000,"), "1]"],
                            8#600),
    [fails(5, ["the result could not be written within 3 s",
               "hint: --timeout SECONDS gives more time"],
           Args ++ ["--timeout", "3"], #{wrap => Wrap})
     || Args <- [["call", Node, "lists:seq", "[1,100000]"],
                 ["call", Node, "cnode_test:mumble"],
                 ["term", Large, "--to", "json"]]].

unended_input(_) ->
    Fifo = fifo(),
    Path = string:trim(Fifo, both, "\""),
    [fails(5, [Name ++ ": its end did not come within 0.5 s",
               "hint: --timeout SECONDS gives more time"],
           ["term", "--timeout", "0.5" | File],
           #{wrap => "sh -c 'exec <>" ++ Fifo ++ "; exec \"$@\"' sh "})
     || {Name, File} <- [{"stdin", []}, {"stdin", ["-"]}, {Path, [Path]}]].

%% A limit that the shell sets is told as a full disk is.
full_file(_) ->
    Large = cnode_test:file(["[", lists:duplicate(50000, "1000,"), "1]"],
                            8#600),
    [fails(6, ["cannot write the result: File too large"],
           ["term", Large, "--to", To],
           #{wrap => "sh -c 'ulimit -f 1; exec \"$@\" >\"" ++
                 cnode_test:file("out") ++ "\"' sh "})
     || To <- ["erlang", "json", "etf", "hex"]].

fifo() ->
    Path = cnode_test:file("fifo"),
    "" = os:cmd("mkfifo '" ++ Path ++ "'"),
    "\"" ++ Path ++ "\"".

%% As descriptor 4, with as much in it as it holds.
full(Fifo) ->
    "exec 4<>" ++ Fifo ++ "; head -c 65536 /dev/zero >&4".

%% What is opened meanwhile must not take their place.
closed_descriptors(Config) ->
    Node = node_text(Config),
    Without = fun(Fds) ->
                      #{wrap => "sh -c 'exec " ++ Fds ++
                            "; exec \"$@\"' sh "}
              end,
    not_written(Config, "sh -c 'exec \"$@\" >&-' sh ",
                "Bad file descriptor"),
    done(["'", Node, "'\n"], ["call", Node, "erlang:node"], Without("<&-")),
    done("", ["cast", Node, "erlang:node"], Without("<&- >&-")),
    ?assertEqual({1, <<>>, <<>>}, run(["call", Node, "no:such"],
                                      Without("2>&-"))),
    ?assertEqual({6, <<>>, <<>>}, run(["call", Node, "erlang:node"],
                                      Without("<&- >&- 2>&-"))),
    fails(6, ["stdin: Bad file descriptor"], ["term"], Without("<&-")).

few_descriptors(Config) ->
    Few = #{wrap => "sh -c 'ulimit -n 10; exec \"$@\"' sh "},
    [fails(6, ["Too many open files: 16 more than are open must be allowed",
               "hint: `ulimit -n 64` allows it"], Args, Few)
     || Args <- [["ping", node_text(Config)], ["names"],
                 ["serve", "-n", "few@127.0.0.1"]]].

%% --------------------------------------------------------------------- term

term(From, To, In) ->
    run(["term", "--from", From, "--to", To], #{stdin => In}).

%% The same term in all four.
term_formats(_) ->
    Etf = term_to_binary({ok, [1, 300], <<"x">>}, [{minor_version, 2}]),
    Forms = [{"etf", Etf}, {"hex", [hex(Etf), $\n]},
             {"erlang", "{ok,[1,300],<<\"x\">>}\n"},
             {"json", "{\"t\":[{\"a\":\"ok\"},[1,300],\"x\"]}\n"}],
    [?assertEqual({0, iolist_to_binary(Out), <<>>}, term(From, To, In))
     || {From, In} <- Forms, {To, Out} <- Forms].

hex(Bytes) ->
    [io_lib:format("~2.16.0b", [B]) || <<B>> <= Bytes].

term_defaults(_) ->
    Hex = [hex(term_to_binary({ok, "x"}, [{minor_version, 2}])), $\n],
    [done(Hex, ["term"], #{stdin => In})
     || In <- ["{ok, \"x\"}", "{ok, \"x\"}.\n", " {ok,\n[$x]} . ",
               "% no\n{ok, \"x\"}.", "{ok, \"x\"}.  % comment",
               "{ok, \"x\"} % one\n.%two\n\n  % three\n"]],
    done("1\n", ["term", "--to", "erlang"], #{stdin => "1. % one"}),
    done("1.0\n", ["term", "--to", "erlang"], #{stdin => "1.0."}),
    done("46\n", ["term", "--to", "erlang"], #{stdin => "$.."}),
    done("10\n", ["term", "--from", "hex", "--to", "erlang"],
         #{stdin => "83 61\n0A\n"}).

term_files(_) ->
    File = cnode_test:file("[a].", 8#600),
    done("[{\"a\":\"a\"}]\n", ["term", "--to", "json", File]),
    done("[b]\n", ["term", "--to", "erlang", "-"], #{stdin => "[b]"}),
    fails(6, ["/no/such: No such file or directory"], ["term", "/no/such"]),
    fails(6, ["/tmp: Is a directory"], ["term", "/tmp"]),
    Bad = cnode_test:file("[a\n b]", 8#600),
    fails(2, [Bad ++ ": syntax error at line 2, column 2: not expected here"],
          ["term", Bad]).

%% Every kind of term there and back again: by JSON to the byte, by text to
%% the same term.
term_round_trips(_) ->
    [begin
         Bytes = term_to_binary(Terms, [{minor_version, 2}]),
         {0, Text, <<>>} = term("etf", Form, Bytes),
         {0, Back, <<>>} = term(Form, "etf", Text),
         ?assert(binary_to_term(Back) =:= Terms),
         ?assert(Form =:= "erlang" orelse Bytes =:= Back),
         %% It does not depend on the run.
         ?assertEqual({0, Text, <<>>}, term("etf", Form, Bytes))
     end || {Form, Terms} <- [{"json", cnode_test:terms()},
                              {"hex", cnode_test:terms()},
                              {"erlang", printable()}]].

%% Without what text cannot tell: functions with a body and records of OTP 29.
printable() ->
    [T || T <- cnode_test:terms(), has_text(T)].

has_text(F) when is_function(F) ->
    erlang:fun_info(F, type) =:= {type, external};
has_text(T) ->
    is_number(T) orelse is_atom(T) orelse is_list(T) orelse is_tuple(T)
        orelse is_bitstring(T) orelse is_map(T) orelse is_pid(T)
        orelse is_port(T) orelse is_reference(T).

%% By Erlang's own reader, where it has one.
term_json_is_json(_) ->
    {0, Text, <<>>} = term("etf", "json", term_to_binary(cnode_test:terms())),
    ?assertEqual([binary:last(Text)], [$\n]),
    ?assertEqual(1, length(binary:matches(Text, <<"\n">>))),
    case code:ensure_loaded(json) of
        {module, json} ->
            Json = apply(json, decode, [Text]),
            ?assertEqual(length(cnode_test:terms()), length(Json));
        {error, _} ->
            ok
    end.

term_compressed(_) ->
    Term = lists:duplicate(1000, {abc, "def"}),
    Etf = term_to_binary(Term, [compressed]),
    <<131, 80, _/binary>> = Etf,
    ?assertEqual({0, term_to_binary(Term), <<>>}, term("etf", "etf", Etf)),
    <<131, 80, _:32, Stream/binary>> = Etf,
    [fails(2, [text("stdin: not a term, at byte ~ts: ~ts", [At, Why])],
           ["term", "--from", "etf"], #{stdin => Bytes})
     || {Bytes, At, Why} <-
            [{[<<131, 80, 3:32>>, zlib:compress(<<104, 1, 88>>)],
              "2 after inflation", "the bytes end inside a term"},
             {<<131, 80, 16#ffffffff:32, Stream/binary>>, "2",
              "so few bytes cannot inflate to that size"},
             {<<131, 80, 10:32, Stream/binary>>, "6",
              "the term inflates to more than its size"},
             {<<131, 80, 0, 0>>, "4", "the bytes end inside a compressed term"},
             {binary:part(Etf, 0, byte_size(Etf) - 5), "6",
              "the bytes end inside a zlib stream"}]].

term_bad_input(_) ->
    Version = "hint: the version byte 131 (hex 83) comes first",
    [fails(2, ["stdin: " ++ hd(Told) | tl(Told)], ["term", "--from", From],
           #{stdin => In})
     || {From, In, Told} <-
            [{"erlang", "", ["no term"]},
             {"erlang", " \n% none\n", ["no term"]},
             {"json", "", ["no term"]},
             {"json", "\n", ["no term"]},
             {"erlang", "{a}. % c\n{b}.\n",
              ["only one term is taken: another at line 2, column 1"]},
             {"erlang", "a b",
              ["only one term is taken: another at line 1, column 3"]},
             {"erlang", "1 + 2",
              ["syntax error at line 1, column 3: no part of a term"]},
             {"erlang", "{a. b}",
              ["syntax error at line 1, column 3: "
               "a dot, which is no part of a term"]},
             {"erlang", "a.b",
              ["syntax error at line 1, column 2: "
               "a dot, which is no part of a term"]},
             {"erlang", "{a,\n b,}",
              ["syntax error at line 2, column 4: not expected here"]},
             {"erlang", "<0.85.0>",
              ["syntax error at line 1, column 2: "
               "an identifier whose node is not given"]},
             {"erlang", "a. b.",
              ["only one term is taken: another at line 1, column 4"]},
             {"erlang", ["[", lists:duplicate(256, $a), "]"],
              ["too long, or nested too deep, at line 1, column 2"]},
             {"erlang", "[1.0,\n 1.0e999]",
              ["number too large at line 2, column 2"]},
             {"erlang", "f(x)",
              ["syntax error at line 1, column 2: no part of a term"]},
             {"hex", "zz", ["not hexadecimal"]},
             {"hex", "836", ["not hexadecimal"]},
             {"erlang", "#{1 => a, b => c, 1 => d}.",
              ["not a term: key or field that is there twice"]},
             {"json", "{\"m\":[[1,2],[1,3]]}",
              ["not a term: key or field that is there twice"]},
             {"hex", "", ["not a term, at byte 0: there are no bytes", Version]},
             {"hex", "610a",
              ["not a term, at byte 0: no version byte (131)", Version]},
             {"hex", "8361",
              ["not a term, at byte 1: the bytes end inside a term"]},
             {"hex", "83610a00", ["not a term, at byte 3: bytes behind it"]},
             {"hex", "83740000000277016161017701616102",
              ["not a term, at byte 11: key or field that is there twice"]},
             {"etf", "", ["not a term, at byte 0: there are no bytes", Version]},
             {"etf", <<131, 108, 16#ffffffff:32>>,
              ["not a term, at byte 1: fewer bytes are left than terms "
               "announced"]}]],
    Long = ["\"", lists:duplicate(256, $x), "\""],
    [fails(2, ["stdin: an atom of more than 255 characters"],
           ["term", "--from", "json"], #{stdin => In})
     || In <- [["{\"a\":", Long, "}"], ["{\"a\":{", Long, ":1}}"],
               ["{\"a\":[", Long, ",100]}"], ["{\"a\":[", Long, ",118]}"],
               ["{\"fun\":[\"m\",", Long, ",1]}"]]],
    [begin
         {2, <<>>, Err} = run(["term", "--from", "json"], #{stdin => In}),
         ?assertMatch({match, _},
                      re:run(Err, "^[^\n]*: term: stdin: [^\n]+\n$"))
     end || In <- ["", "[1,2", "{\"t\":1}", "{\"pid\":[1]}", "nul", "[1] [2]",
                   "18446744073709551616", "{\"b\":\"0\"}", "\"\\ud800\"",
                   <<"\"", 255, "\"">>, lists:duplicate(100000, $[)]].

%% -------------------------------------------------------------------- serve

serve_sigterm(_) ->
    Serve = cnode_test:serve(#{}),
    cnode_test:stop(Serve),
    ?assertEqual(<<>>, cnode_test:stderr(Serve)).

serve_sigint(_) ->
    Serve = cnode_test:serve(#{}),
    cnode_test:signal(Serve, "INT"),
    ?assertEqual(0, cnode_test:status(Serve)),
    ?assertEqual(<<>>, cnode_test:stderr(Serve)).

serve_visibility(_) ->
    [begin
         Serve = #{node := Node} = cnode_test:serve(#{visible => Visible}),
         pong = net_adm:ping(Node),
         ?assertEqual(Visible, lists:member(Node, nodes())),
         ?assertEqual(not Visible, lists:member(Node, nodes(hidden))),
         cnode_test:stop(Serve),
         wait_until(fun() -> not lists:member(Node, nodes(connected)) end)
     end || Visible <- [false, true]].

%% One that EPMD knows, of a C node or an Erlang one.
serve_name_taken(_) ->
    Serve = #{node := Node} = cnode_test:serve(#{}),
    [begin
         [Name, _] = string:split(atom_to_list(Taken), "@"),
         fails(4, [text("register ~ts: EPMD at 127.0.0.1:~b: EPMD refuses the "
                        "name: it is in use", [Name, cnode_test:epmd_port()]),
                   "hint: another node uses this name; choose one with --name"],
               ["serve", "-n", atom_to_list(Taken)])
     end || Taken <- [Node, node()]],
    cnode_test:stop(Serve).

serve_port_taken(_) ->
    Port = integer_to_list(service(silent)),
    fails(6, ["listen on port " ++ Port ++ ": address already in use"],
          ["serve", "-n", atom_to_list(unique_node("s")), "--port", Port]).

serve_without_epmd(_) ->
    Port = cnode_test:free_port(),
    Serve = #{node := Node, port := Got} =
        cnode_test:serve(#{args => ["--no-epmd", "--port",
                                    integer_to_list(Port)]}),
    ?assertEqual(Port, Got),
    {3, _, _} = run(["ping", atom_to_list(Node)]),
    pong(run(["ping", atom_to_list(Node), "--address", address(Port)])),
    ?assertEqual({0, <<"{ok,hello}\n">>, <<>>},
                 run(["call", atom_to_list(Node), "cnode:echo", "[{ok, hello}]",
                      "--address", address(Port)])),
    cnode_test:stop(Serve).

%% It serves those who know its port, and says what is missing.
serve_epmd_down(_) ->
    Port = integer_to_list(cnode_test:free_port()),
    Serve = #{node := Node, port := At} =
        cnode_test:serve(#{global => ["--epmd-port", Port]}),
    pong(run(["ping", atom_to_list(Node), "--address", address(At)])),
    cnode_test:stop(Serve),
    [Line | _] = string:split(cnode_test:stderr(Serve), "\n"),
    Start = text("~ts: serve: warning: not registered yet: ", [program()]),
    ?assertEqual(Start, binary:part(Line, 0, byte_size(Start))).

%% It can be stopped while it waits for EPMD, and does not wait for ever.
serve_epmd_silent(_) ->
    Port = integer_to_list(service(silent)),
    Serve = cnode_test:launch(#{global => ["--epmd-port", Port,
                                           "--timeout", "600"]}),
    receive {accepted, silent} -> ok end,
    cnode_test:signal(Serve, "TERM"),
    ?assertEqual(0, cnode_test:status(Serve)),
    ?assertEqual(<<>>, cnode_test:stdout(Serve)),
    fails(5, ["EPMD does not answer within 0.5 s",
              "hint: --timeout SECONDS gives more time"],
          ["serve", "-n", "a@127.0.0.1", "--epmd-port", Port,
           "--timeout", "0.5"]).

%% With an IPv6 address for its host it is there too.
serve_ipv6(_) ->
    case gen_tcp:listen(0, [inet6, {ip, {0, 0, 0, 0, 0, 0, 0, 1}}]) of
        {ok, L} ->
            gen_tcp:close(L),
            Name = unique("six") ++ "@::1",
            Serve = cnode_test:serve(#{name => list_to_atom(Name)}),
            pong(run(["ping", Name])),
            cnode_test:stop(Serve);
        {error, _} ->
            {skip, "no IPv6 here"}
    end.

serve_connect_fails(_) ->
    Serve = fun(To) -> ["serve", "-n", atom_to_list(unique_node("s")),
                        "--connect", atom_to_list(To)] end,
    {3, <<>>, Err} = run(Serve(unique_node("no"))),
    ?assertMatch({match, _},
                 re:run(Err, "the name is not registered\nhint: [^\n]*\n$")),
    fails(4, [text("cookie rejected by ~ts: this node used $CNODE_COOKIE",
                   [node()]),
              "hint: the nodes of a cluster share one cookie; --cookie-file "
              "or $CNODE_COOKIE gives it"],
          Serve(node()), #{cookie => "wrong"}).

serve_connect_times_out(_) ->
    fails(5, ["x@127.0.0.1: not connected within 0.5 s",
              "hint: --timeout SECONDS gives more time"],
          ["serve", "-n", atom_to_list(unique_node("s")), "--connect",
           "x@127.0.0.1", "--address", address(service(silent)),
           "--timeout", "0.5"]).

%% What somebody has ended is there again; and nothing was dropped, so that
%% nothing is said of it.
serve_starts_again(_) ->
    Serve = #{node := Node} = cnode_test:serve(#{global => ["-v"]}),
    [begin
         Old = rpc:call(Node, erlang, whereis, [Name]),
         Ref = monitor(process, Old),
         exit(Old, kill),
         receive {'DOWN', Ref, process, Old, killed} -> ok end,
         wait_until(fun() ->
                            New = rpc:call(Node, erlang, whereis, [Name]),
                            is_pid(New) andalso New =/= Old
                    end)
     end || Name <- [echo, sink, mortal]],
    ok = gen_server:stop({echo, Node}),
    ?assertEqual({ok, hello}, gen_server:call({echo, Node}, hello, ?WAIT)),
    cnode_test:stop(Serve),
    ?assertEqual(nomatch, string:find(cnode_test:stderr(Serve), "dropped")).

serve_usage(_) ->
    fails(2, ["--name NAME[@HOST] is needed",
              "hint: such as `" ++ program() ++ " -n till@127.0.0.1 serve`"],
          ["serve"]),
    [fails(2, [Option ++ " needs --discover gossip"],
           ["serve", "-n", "a@127.0.0.1", "--discover", "epmd", Option, Value])
     || {Option, Value} <- [{"--gossip-secret-file", "/none"},
                            {"--gossip-interface", "127.0.0.1"},
                            {"--gossip-group", "230.1.1.251"}]],
    fails(2, ["--capture-max needs --capture",
              text("hint: usage: ~ts serve [OPTIONS]", [program()])],
          ["serve", "-n", "a@127.0.0.1", "--capture-max", "9"]),
    fails(2, ["--address needs HOST:PORT, [v6]:PORT or unix:PATH"],
          ["serve", "-n", "a@127.0.0.1", "--no-epmd", "--connect",
           "b@127.0.0.1", "--address", "127.0.0.1"]),
    Named = "hint: NAME@HOST is one, or NAME alone for this machine; without "
        "blanks",
    fails(2, ["bad node name: a@", Named], ["serve", "-n", "a@"]),
    fails(2, ["bad node name: b@", Named],
          ["serve", "-n", "a@c", "--connect", "b@"]),
    fails(2, ["--address needs exactly one --connect"],
          ["serve", "-n", "a@127.0.0.1", "--address", "127.0.0.1:1"]),
    fails(6, ["no cookie: give one, or set $CNODE_COOKIE, or make "
              "~/.erlang.cookie",
              "hint: --cookie-file FILE or $CNODE_COOKIE gives the cookie of "
              "the nodes there"],
          ["serve", "-n", "a@127.0.0.1"], #{cookie => false}).

%% Whoever reads its log no more does not hold up those it serves, and learns
%% later how much was missed.
serve_unread_log(_) ->
    Fifo = fifo(),
    Serve = #{node := Node} =
        cnode_test:serve(
          #{global => ["-vv"],
            wrap => "sh -c '" ++ full(Fifo) ++ "; exec \"$@\" 2>&4' sh "}),
    [pong(run(["ping", atom_to_list(Node)])) || _ <- [1, 2, 3]],
    Cat = open_port({spawn_executable, "/bin/cat"},
                    [{args, [string:trim(Fifo, both, "\"")]}, binary,
                     exit_status]),
    {Before, _} = split_binary(read_port(Cat, 65536), 65536),
    ?assertEqual(<<0:65536/unit:8>>, Before),
    pong(run(["ping", atom_to_list(Node)])),
    cnode_test:signal(Serve, "TERM"),
    ?assertEqual(0, cnode_test:status(Serve)),
    ?assertMatch({match, _},
                 re:run(read_port(Cat, all), text("~ts: warning: [1-9][0-9]* "
                                                  "lines of the log were lost\n",
                                                  [program()]))).

%% At least so many bytes, or all there are.
read_port(Port, N) ->
    read_port(Port, N, <<>>).

read_port(_, N, Got) when is_integer(N), byte_size(Got) >= N ->
    Got;
read_port(Port, N, Got) ->
    receive
        {Port, {data, Bytes}} ->
            read_port(Port, N, <<Got/binary, Bytes/binary>>);
        {Port, {exit_status, _}} ->
            Got
    end.
