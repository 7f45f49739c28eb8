#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% phash2_vectors.escript: makes phash2_vectors.txt with a real phash2:
%%     escript tests/data/phash2_vectors.escript > tests/data/phash2_vectors.txt
%% Each line is erlang:phash2(T), erlang:phash2(T, 1 bsl 32) and the bytes of T
%% in hex without the version byte, separated by blanks.
-mode(compile).

main(_) ->
    io:format("# Made by phash2_vectors.escript on OTP ~s.~n",
              [erlang:system_info(otp_release)]),
    rand:seed(exsss, {4, 5, 6}),
    [line(T) || T <- numbers() ++ atoms() ++ bytes() ++ compound() ++ ids()],
    [line(random(4)) || _ <- lists:seq(1, 300)].

line(T) ->
    <<131, B/binary>> = term_to_binary(T, [{minor_version, 2}]),
    io:format("~b ~b ~s~n", [erlang:phash2(T), erlang:phash2(T, 1 bsl 32),
                             string:lowercase(binary:encode_hex(B))]).

numbers() ->
    Near = [(1 bsl N) + D || N <- [0, 8, 26, 27, 28, 31, 32, 59, 60, 63, 64, 96,
                                   128, 1000], D <- [-1, 0, 1]],
    Near ++ [-N || N <- Near]
        ++ [0.0, -0.0, 1.0, -1.5, 1.0e300, 5.0e-324].

atoms() ->
    [a, '', abcdefghijklmnopqrst, 'caf\x{e9}', '\x{20ac}', '\x{1F600}\x{ff}',
     list_to_atom(lists:duplicate(255, $z))].

bytes() ->
    [list_to_binary(lists:seq(1, N)) || N <- lists:seq(0, 26)]
        ++ [<<1:1>>, <<5:3>>, <<1, 2, 3:7>>, <<(list_to_binary(
                lists:seq(1, 12)))/binary, 1:2>>]
        ++ [lists:seq(1, N) || N <- lists:seq(1, 10)]
        ++ [[1, 2, a, 3, 4], [1, 2, 300, 3], [[1, 2, 3], [4]], [1 | 2],
            [a | b], [1, 2, 3, 4 | 5], [256, 1, 2], lists:seq(250, 260)].

compound() ->
    [{}, [], {a}, {a, 1, "x"}, {{}}, [[]], [[], []], #{}, #{a => 1},
     #{1 => 2, 1.0 => 3, {} => [], "k" => #{v => #{}}}, {#{}, #{a => b}},
     maps:from_list([{N, N * N} || N <- lists:seq(1, 50)]),
     fun lists:map/2, fun erlang:self/0,
     lists:foldl(fun(_, T) -> {T} end, x, lists:seq(1, 100)),
     lists:foldl(fun(_, T) -> [T, 1] end, x, lists:seq(1, 100)),
     lists:foldl(fun(_, T) -> #{T => 1} end, x, lists:seq(1, 40))].

ids() ->
    [self(), make_ref(), hd(erlang:ports()),
     binary_to_term(<<131, 88, 119, 1, $n, 305419896:32, 1:32, 7:32>>),
     binary_to_term(<<131, 90, 5:16, 119, 1, $n, 7:32, 1:32, 2:32, 3:32, 4:32,
                      5:32>>),
     binary_to_term(<<131, 120, 119, 1, $n, 1311768467463790320:64, 7:32>>)].

random(0) -> leaf();
random(D) ->
    case rand:uniform(6) of
        1 -> list_to_tuple(many(D));
        2 -> many(D);
        3 -> maps:from_list([{random(D - 1), random(D - 1)} || _ <- few()]);
        4 -> many(D) ++ random(D - 1);
        _ -> leaf()
    end.

leaf() ->
    case rand:uniform(7) of
        1 -> rand:uniform(256) - 1;
        2 -> (rand:uniform(1 bsl 70) - (1 bsl 69)) bsr (rand:uniform(70) - 1);
        3 -> rand:normal();
        4 -> lists:nth(rand:uniform(4), [a, ok, 'caf\x{e9}', '\x{3b1}']);
        5 -> rand:bytes(rand:uniform(30) - 1);
        6 -> N = rand:uniform(50), <<(rand:uniform(1 bsl N)):N>>;
        7 -> [rand:uniform(256) - 1 || _ <- few()]
    end.

many(D) -> [random(D - 1) || _ <- few()].
few() -> lists:seq(1, rand:uniform(6) - 1).
