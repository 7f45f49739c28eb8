%% SPDX-License-Identifier: Apache-2.0
%%
%% --capture and `cnode dump`: what a node of Erlang and `cnode` say to each
%% other is recorded, explained as text and as JSON, and holds no secret. A
%% file that cannot be written harms nobody; what is no capture is refused.
-module(dump_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(cnode_test, [run/1, run/2, file/1, file/2]).

suite() ->
    [{timetrap, {seconds, 60}}].

all() ->
    [call_is_explained, every_line_is_json, serve_is_recorded, no_secrets,
     only_we_may_read, has_a_largest_size, cannot_be_opened, disk_is_full,
     is_cut, is_no_capture, of_stdin].

init_per_suite(Config) ->
    cnode_test:init_suite(Config).

end_per_suite(_) ->
    cnode_test:stop_all().

%% A call of this node, recorded: the file.
capture() ->
    File = file("capture"),
    ?assertMatch({0, <<"[1,2,3]\n">>, <<>>},
                 run(["--capture", File, "call", atom_to_list(node()),
                      "lists:seq", "[1,3]"])),
    File.

dump(File) ->
    {0, Text, <<>>} = run(["dump", File]),
    binary:split(Text, <<"\n">>, [global, trim]).

has(Lines, Pattern) ->
    ?assert(lists:any(fun(L) -> re:run(L, Pattern) =/= nomatch end, Lines),
            {Pattern, Lines}).

%% ------------------------------------------------------------------ cases

call_is_explained(_) ->
    Lines = dump(capture()),
    Node = atom_to_list(node()),
    has([hd(Lines)], "^[0-9-]+T[0-9:.]+Z 1 connected by "),
    has(Lines, " from \\Q" ++ Node ++ "\\E [0-9]+: challenge from \\Q" ++ Node),
    has(Lines, " to \\Q" ++ Node ++ "\\E [0-9]+: SPAWN_REQUEST .*"
        "erpc:execute_call/4 options \\[monitor\\] \\[#Ref<.*>,lists,seq,\\[1,3\\]\\]$"),
    has(Lines, " from \\Q" ++ Node ++ "\\E [0-9]+: .*SPAWN_REPLY "),
    has(Lines, "PAYLOAD_MONITOR_P_EXIT .*return,\\[1,2,3\\]\\}$"),
    has([lists:last(Lines)], " 1 closed"),
    [?assertEqual(nomatch, re:run(L, " error: "), L) || L <- Lines].

%% Round trip through `cnode term`: the payload in JSON is that term.
every_line_is_json(_) ->
    {0, Text, <<>>} = run(["dump", "--json", capture()]),
    Lines = binary:split(Text, <<"\n">>, [global, trim]),
    [{0, _, <<>>} = run(["term", "--from", "json"], #{stdin => L})
     || L <- Lines],
    has(Lines, "\"kind\":\"frame\",\"way\":\"in\".*\"payload\":"
        "\\{\"t\":.*\\[1,2,3\\]\\]\\}"),
    has(Lines, "\"kind\":\"close\"").

serve_is_recorded(_) ->
    File = file("capture"),
    Serve = #{node := Node} = cnode_test:serve(#{args => ["--capture", File]}),
    Text = lists:duplicate(300000, $x),
    {echo, Node} ! {self(), Text},
    receive {_, Text} -> ok end,
    ?assertEqual({ok, hi}, gen_server:call({echo, Node}, hi, ?WAIT)),
    true = net_kernel:disconnect(Node),
    cnode_test:stop(Serve),
    Lines = dump(File),
    has(Lines, "accepted by \\Q" ++ atom_to_list(Node)),
    has(Lines, "REG_SEND .* echo \\{'\\$gen_call',.*,hi\\}$"),
    has(Lines, "to .*\\{ok,hi\\}\\}$"),
    [?assertEqual(nomatch, re:run(L, " error: "), L) || L <- Lines].

no_secrets(_) ->
    {ok, Bytes} = file:read_file(capture()),
    ?assertEqual(nomatch, binary:match(Bytes, list_to_binary(
                                                cnode_test:cookie()))),
    has(dump(capture()), "digest, masked"),
    {0, Text, _} = run(["dump", "--json", capture()]),
    has([Text], "\"bytes\":\"72" ++ lists:duplicate(40, $0) ++ "\""),
    has([Text], "\"bytes\":\"61" ++ lists:duplicate(32, $0) ++ "\"").

only_we_may_read(_) ->
    {ok, Info} = file:read_file_info(capture()),
    ?assertEqual(8#600, element(8, Info) band 8#777).

has_a_largest_size(_) ->
    File = file("capture"),
    ?assertMatch({0, <<"[1,2,3]\n">>, <<"cnode: call: warning: ", _/binary>>},
                 run(["--capture", File, "--capture-max", "400", "call",
                      atom_to_list(node()), "lists:seq", "[1,3]"])),
    ?assert(filelib:file_size(File) =< 400),
    has([lists:last(dump(File))], "the capture is full").

cannot_be_opened(_) ->
    ?assertMatch({6, <<>>, <<"cnode: ping: /no/such/file: No such file",
                             _/binary>>},
                 run(["--capture", "/no/such/file", "ping",
                      atom_to_list(node())])).

disk_is_full(_) ->
    ?assertMatch({6, <<>>, <<"cnode: call: error: /dev/full: nothing more is "
                             "written to the capture: No space left",
                             _/binary>>},
                 run(["--capture", "/dev/full", "call",
                      atom_to_list(node()), "lists:seq", "[1,3]"])).

is_cut(_) ->
    {ok, Bytes} = file:read_file(capture()),
    Cut = file(binary:part(Bytes, 0, byte_size(Bytes) - 5), 8#600),
    {2, Text, Err} = run(["dump", Cut]),
    has([Text], "PAYLOAD_MONITOR_P_EXIT"),
    has([Err], "the capture ends inside a record").

is_no_capture(_) ->
    ?assertMatch({2, <<>>, <<"cnode: dump: ", _/binary>>},
                 run(["dump", os:getenv("CNODE")])),
    Empty = file(<<>>, 8#600),
    {2, <<>>, Why} = run(["dump", Empty]),
    has([Why], Empty ++ ": the capture is empty\n"),
    {2, <<>>, Same} = run(["dump", "-"], #{stdin => <<>>}),
    has([Same], "-: the capture is empty\n"),
    ?assertMatch({6, <<>>, _}, run(["dump", "/no/such/file"])),
    ?assertMatch({2, <<>>, _}, run(["dump"])).

of_stdin(_) ->
    {ok, Bytes} = file:read_file(capture()),
    {0, Text, <<>>} = run(["dump", "-"], #{stdin => Bytes}),
    has([Text], "SPAWN_REQUEST").
