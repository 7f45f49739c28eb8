#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% text_vectors.escript: makes text_vectors.txt with a real io:format:
%%     escript tests/data/text_vectors.escript > tests/data/text_vectors.txt
%%     ERL_FLAGS="+pc unicode" escript tests/data/text_vectors.escript \
%%         >> tests/data/text_vectors.txt
%% Each line is the control sequence, l or u for the range of erl's +pc, the
%% bytes of the term in hex without the version byte, and the text, in which a
%% backslash is \\ and a new line \n; separated by tabs.
-mode(compile).

main(_) ->
    ok = io:setopts([{encoding, unicode}]),
    Range = case io:printable_range() of latin1 -> $l; unicode -> $u end,
    io:format("# Made by text_vectors.escript on OTP ~s.~n",
              [erlang:system_info(otp_release)]),
    rand:seed(exsss, {Range, 2, 3}),
    [line(Control, Range, T)
     || T <- fixed(), Control <- ["~w", "~tw", "~p", "~tp", "~40tp"]],
    [line("~w", Range, F) || Range =:= $l, F <- floats()],
    [line(control(), Range, term(rand:uniform(4))) || _ <- lists:seq(1, 150)].

line(Control, Range, T) ->
    <<131, Bytes/binary>> = term_to_binary(T, [{minor_version, 2}]),
    Text = lists:flatten(io_lib:format(Control, [T])),
    io:format("~s\t~c\t~s\t~ts~n",
              [Control, Range, string:lowercase(binary:encode_hex(Bytes)),
               lists:flatmap(fun($\\) -> "\\\\"; ($\n) -> "\\n"; (C) -> [C] end,
                             Text)]).

control() ->
    Width = pick(["80", "80", "60", "40", "30", "20", "10"]),
    pick(["~" ++ Width ++ "tp", "~" ++ Width ++ "p", "~" ++ Width ++ "tp"]).

%% Long ones, and each kind of character in each place.
fixed() ->
    As = lists:duplicate(100, $a),
    [As, list_to_binary(As), list_to_atom(As), {ok, As}, 1 bsl 300,
     lists:seq(1000, 1040), lists:seq(1, 30) ++ improper_tail,
     [a | lists:seq(1, 90)], {abc, list_to_binary(lists:seq(1, 60)), x},
     <<(list_to_binary(lists:seq(0, 50)))/binary, 1:3>>,
     #{key => As}, #{lists:seq(1, 40) => 2}, [{a}, {b}, #{}, {}, [], <<>>, {c}],
     #{a => #{b => #{c => lists:seq(1, 30)}}},
     {a_rather_long_tag_of_a_tuple_that_has_a_long_name_indeed_it_has,
      {another_long_tag, lists:seq(1, 50)}},
     [[lists:seq(1, 30)], [[[lists:seq(1, 30) | x]] | y]],
     "\x{80}a", 'a\x{80}b', "a\x7f", <<"a\x7f">>, 'caf\x{e9}\x{100}',
     <<200, 201>>, <<195, 169, 200>>, "\x{d7}", '\x{d7}b', '\x{e9}', '\x{c9}',
     [960], [55296], [65534], [1114112], <<"\x{3c0}"/utf8>>, <<"\x{e9}"/utf8>>,
     '\x{1F600}', "\"\\\e\n", <<"\"\\\e\n">>, [$a | $b], <<1:1>>].

%% Powers of two and their neighbours, of which some have a shortest text that
%% is not the nearest; the smallest and largest ones, and short decimals.
floats() ->
    [F || Exponent <- [0, 1, 6, 16, 66, 102, 215, 232, 235, 245, 318, 328, 361,
                       371, 474, 514, 527, 534, 640, 657, 727, 883, 1000, 1022,
                       1023, 1024, 1050, 1076, 1077, 1080, 1500, 1735, 2046],
          Bits <- [-1, 0, 1], Exponent > 0 orelse Bits >= 0,
          F <- [float_of((Exponent bsl 52) + Bits)]]
        ++ [float_of(Bits) || Bits <- [2, 3, 10, 1234567, 16#fffffffffffff]]
        ++ [-M / math:pow(10, K) || M <- [1, 25, 123456789, 999999999999999],
                                    K <- lists:seq(0, 22, 2)].

float_of(Bits) -> <<F/float>> = <<Bits:64>>, F.

term(0) -> scalar();
term(D) ->
    case rand:uniform(8) of
        1 -> list_to_tuple(many(D, 4));
        2 -> list_to_tuple([atom() | many(D, 4)]);
        3 -> many(D, 5);
        4 -> many(D, 3) ++ scalar();
        5 -> maps:from_list(lists:zip(many(D, 4), many(D, 4)));
        6 -> [rand:uniform(300) || _ <- lists:seq(1, rand:uniform(40))];
        7 -> {atom(), term(D - 1)};
        8 -> scalar()
    end.

many(D, N) -> [term(D - 1 - rand:uniform(2) rem D) || _ <- lists:seq(1, N)].

scalar() ->
    case rand:uniform(14) of
        1 -> rand:uniform(100000);
        2 -> -rand:uniform(1 bsl 70);
        3 -> rand:uniform() * 1000;
        4 -> pick([[], {}, #{}, <<>>]);
        5 -> text("abcdef gh", 30);
        6 -> text([$a, $b, 233, 960, 8364], 9);
        7 -> list_to_binary(text("abcdef gh", 40));
        8 -> unicode:characters_to_binary(text([$a, 233, 960, 8364], 9));
        9 -> rand:bytes(rand:uniform(40));
        10 -> <<(rand:bytes(rand:uniform(30)))/binary, (rand:uniform(7)):3>>;
        _ -> atom()
    end.

atom() ->
    pick([ok, error, x, tag, '', 'A b', handle_call, '\x{e9}', '\x{3c0}',
          a_very_long_atom_name_that_goes_on]).

text(Chars, N) -> [pick(Chars) || _ <- lists:seq(1, rand:uniform(N))].

pick(L) -> lists:nth(rand:uniform(length(L)), L).
