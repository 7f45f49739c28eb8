#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% term_vectors.escript: makes term_vectors.txt with a real term_to_binary:
%%     escript tests/data/term_vectors.escript > tests/data/term_vectors.txt
%% Each line is a mark, a term as etf_print prints it, and its bytes in hex
%% without the version byte, separated by tabs. The mark is = when the text
%% must give those bytes again, and > when it need not: forms that are read
%% but not written.
-mode(compile).

main(_) ->
    ok = io:setopts([{encoding, unicode}]),
    io:format("# Made by term_vectors.escript on OTP ~s.~n",
              [erlang:system_info(otp_release)]),
    rand:seed(exsss, {1, 2, 3}),
    [line($=, T) || T <- integers() ++ floats() ++ atoms() ++ texts()
                        ++ compound()],
    [line($=, text(T), bytes(T)) || T <- funs()],
    [line($=, Text, bytes(T)) || {Text, T} <- binaries()],
    [line($=, Text, unhex(Hex)) || {Text, Hex} <- identifiers()],
    [line($>, text(T), strip(term_to_binary(T, [{minor_version, V}])))
     || {V, T} <- [{1, 'caf\x{e9}'}, {1, plain}, {0, 1.5}, {0, -2.0e-10},
                   {1, {ok, ['\x{ff}']}}]],
    [line($>, Text, unhex(Hex)) || {Text, Hex} <- old()],
    [line($=, random(5)) || _ <- lists:seq(1, 400)].

line(Mark, T) -> line(Mark, text(T), bytes(T)).

line(Mark, Text, Bytes) ->
    io:format("~c\t~ts\t~s~n", [Mark, Text, hex(Bytes)]).

text(T) -> io_lib:format("~0tp", [T]).
bytes(T) -> strip(term_to_binary(T, [{minor_version, 2}])).
strip(<<131, B/binary>>) -> B.
hex(B) -> string:lowercase(binary:encode_hex(B)).
unhex(S) -> binary:decode_hex(list_to_binary([C || C <- S, C =/= $\s])).

integers() ->
    [0, 1, 255, 256, -1, -256, 16#7fffffff, 16#80000000, -16#80000000,
     -16#80000001, 1 bsl 32, (1 bsl 63) - 1, 1 bsl 63, -(1 bsl 63),
     -(1 bsl 63) - 1, (1 bsl 64) - 1, 1 bsl 64, -(1 bsl 64),
     (1 bsl 2040) - 1, 1 bsl 2040, -(1 bsl 2040), 1 bsl 16000].

floats() ->
    [0.0, -0.0, 1.0, -1.5, 0.1, 100.0, 1000.0, 1.0e22, 1.0e23, 0.001, 0.0001,
     123456.789, 12345678901234.5, 9007199254740991.0, 9007199254740992.0,
     5.0e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 3.0e-5,
     1.0e15, 123.0e10, 0.3, 2/3, 1/3, 4.35, 1.0e-10].

atoms() ->
    [ok, '', 'A', 'with space', 'it\'s', 'caf\x{e9}', '\x{e9}t\x{e9}',
     '\x{20ac}', '\x{1F600}', 'a@b', 'n@127.0.0.1', 'end', 'fun', 'receive',
     '\n\t\\\d', '\0', '\x{80}', a_B9,
     list_to_atom(lists:duplicate(255, $a)),
     list_to_atom(lists:duplicate(255, 16#1F600))].

texts() ->
    ["abc", "\n\t\"\\\e", [0], [1, 2, 3], [127], [128], "caf\x{e9}", [255, 256],
     lists:duplicate(300, $x), [$a, b], [[]], [97 | 98],
     <<>>, <<"abc">>, <<0, 1, 2>>, <<"caf\x{e9}"/utf8>>, <<"\n\"">>,
     <<5:3>>, <<1, 2:4>>, <<255, 255, 1:1>>].

%% Where ~p depends on the emulator's flags, etf_print does not: a binary is
%% text when it is printable UTF-8.
binaries() ->
    [{"<<\"\x{20ac}\"/utf8>>", <<"\x{20ac}"/utf8>>},
     {"<<255,254>>", <<255, 254>>}, {"<<233>>", <<233>>},
     {"[8364]", [16#20ac]}].

compound() ->
    [{}, {a}, {1, 2.5, "x", <<"y">>}, list_to_tuple(lists:seq(1, 255)),
     list_to_tuple(lists:seq(1, 256)), [], [a], [a, b | c], [1, 256],
     [[1], [2, [3]], {}], [[[[]]]], #{}, #{a => 1}, #{a => #{b => []}},
     #{1 => one, "k" => {v}, <<"b">> => 1.5, [] => #{}},
     {'$gen_call', {a, [alias | b]}, {add, 1}},
     lists:foldl(fun(_, T) -> {T} end, x, lists:seq(1, 200))].

funs() -> [fun lists:map/2, fun 'A b':'C'/0, fun erlang:'+'/2].

identifiers() ->
    [{"#Pid<nonode@nohost.10.0.0>",
      "58770d6e6f6e6f6465406e6f686f73740000000a0000000000000000"},
     {"#Port<nonode@nohost.0.0>",
      "78770d6e6f6e6f6465406e6f686f7374000000000000000000000000"},
     {"#Ref<nonode@nohost.0.180869.3082551297.1630905535>",
      "5a0003770d6e6f6e6f6465406e6f686f7374000000000002c285b7bc00016135a4bf"},
     {"#Ref<'n27@127.0.0.1'.1795335673.141684.667222018.1875856601.11395.0>",
      "5a0005770d6e3237403132372e302e302e316b02a5f900022974"
      "27c500026fcf4cd900002c8300000000"}].

old() ->
    [{"#Pid<a@b.1.0.1>", "677703614062 00000001 00000000 01"},
     {"#Port<a@b.1.1>", "667703614062 00000001 01"},
     {"#Port<nonode@nohost.0.0>", "5964000d6e6f6e6f6465406e6f686f7374"
      "0000000000000000"},
     {"#Ref<a@b.1.7>", "657703614062 00000007 01"},
     {"#Ref<a@b.1.7.8.9>", "720003 7703614062 01 000000070000000800000009"},
     {"#Ref<a@b.1>", "5a0000 7703614062 00000001"},
     {"#Fun<vec.0.15102801>",
      "7000000045015cce6a315f601d0893f24c11b1e166a400000000000000007703766563"
      "61006200e67351587703614062000000000000000000000000"},
     {"#m:r{z = 1,a = [x]}", "43 00000002 01 77016d 770172 77017a 770161"
      "6101 6c00000001770178 6a"},
     {"0", "6e0300000000"}, {"0", "6e0000"}, {"0", "6e0001"},
     {"-5", "6e010205"}, {"1", "6200000001"},
     {"7", "6c000000006107"}, {"[7,8]", "6c0000000161076b000108"},
     {"\"ab\"", "6c0000000161616b000162"}, {"[]", "6b0000"},
     {"[1,2,a]", "6c0000000161016c0000000161026c000000017701616a"},
     {"[1,2|a]", "6c0000000161016c000000016102770161"},
     {"{a}", "6900000001770161"}, {"<<1>>", "4d000000010801"},
     {"<<5:3>>", "4d0000000103bf"}, {"fun m:f/1", "7177016d770166 6200000001"},
     {"'\x{e9}t\x{e9} '", "7304e974e920"}].

random(0) -> scalar();
random(Depth) ->
    N = rand:uniform(5) - 1,
    case rand:uniform(10) of
        1 -> list_to_tuple(many(N, Depth));
        2 -> many(N, Depth);
        3 -> maps:from_list([{random(0), random(Depth - 1)}
                             || _ <- lists:seq(1, N)]);
        4 -> [random(Depth - 1) | scalar()];
        5 -> {random(Depth - 1), many(N, Depth)};
        _ -> scalar()
    end.

many(N, Depth) -> [random(Depth - 1) || _ <- lists:seq(1, N)].

scalar() ->
    case rand:uniform(9) of
        1 -> rand:uniform(256) - 1;
        2 -> rand:uniform(1 bsl 40) - (1 bsl 39);
        3 -> (rand:uniform(1 bsl 200) - 1) * (rand:uniform(3) - 2);
        4 -> <<F/float>> = <<(rand:uniform(1 bsl 62)):64>>, F;
        5 -> (rand:uniform(200000) - 100000) / 100;
        6 -> <<0, (rand:bytes(rand:uniform(6) - 1))/binary>>;
        7 -> B = rand:uniform(20), <<X:B/bits, _/bits>> = rand:bytes(3),
             <<0, X/bits>>;
        8 -> lists:nth(rand:uniform(6), [a, b, 'X', '', 'x y', undefined]);
        9 -> [rand:uniform(256) - 1 || _ <- lists:seq(1, rand:uniform(4))]
    end.
