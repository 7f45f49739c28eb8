#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% order_vectors.escript: terms in the order of a real node:
%%     escript tests/data/order_vectors.escript > tests/data/order_vectors.txt
%% and on OTP 29, which has records and tells 0.0 from -0.0,
%%     escript order_vectors.escript > order_vectors_29.txt
%% Each line has the place of a term by ==, where equal terms share one; its
%% place by =:=, the order of the keys of a map; and its bytes in hex without
%% the version byte.
-mode(compile).

main(_) ->
    Otp = erlang:system_info(otp_release),
    io:format("# Made by order_vectors.escript on OTP ~s.~n", [Otp]),
    rand:seed(exsss, {7, 8, 9}),
    Fixed = numbers() ++ atoms() ++ bytes() ++ compound() ++ maps() ++ ids()
        ++ funs() ++ newer(list_to_integer(Otp)),
    Random = [random(4) || _ <- lists:seq(1, 120)],
    All = Fixed ++ Random ++ [near(T) || T <- Random],
    Terms = [T || T <- All, Otp =:= "25" orelse not has_small_map(T)],
    Loose = places(lists:sort(Terms), fun(A, B) -> A == B end, 0),
    Exact = places(exact(Otp, Terms), fun(A, B) -> A =:= B end, 0),
    [line(N, place(T, Exact), T) || {N, T} <- Loose].

%% From 26 on the order of keys can be asked for. But as keys of a map, maps of
%% up to 32 atoms compare these by a number that is not the same in every node,
%% so there is nothing to learn from them.
exact("25", Terms) ->
    [T || M <- lists:sort([#{T => 0} || T <- Terms]), T <- maps:keys(M)];
exact(_, Terms) ->
    I = maps:iterator(maps:from_keys(Terms, 0), ordered),
    [T || {T, 0} <- maps:to_list(I)].

has_small_map(T) when is_map(T), map_size(T) > 1, map_size(T) < 33 -> true;
has_small_map(T) when is_map(T) -> has_small_map(maps:to_list(T));
has_small_map(T) when is_tuple(T) -> has_small_map(tuple_to_list(T));
has_small_map(T) when is_function(T) ->
    has_small_map(element(2, erlang:fun_info(T, env)));
has_small_map([A | B]) -> has_small_map(A) orelse has_small_map(B);
has_small_map(_) -> false.

places([A, B | Rest], Same, N) ->
    Next = case Same(A, B) of true -> N; false -> N + 1 end,
    [{N, A} | places([B | Rest], Same, Next)];
places([A], _, N) ->
    [{N, A}].

place(T, [{N, U} | _]) when T =:= U -> N;
place(T, [_ | Rest]) -> place(T, Rest).

line(Loose, Exact, T) ->
    <<131, B/binary>> = term_to_binary(T, [{minor_version, 2}]),
    io:format("~b ~b ~s~n",
              [Loose, Exact, string:lowercase(binary:encode_hex(B))]).

numbers() ->
    Ints = [(1 bsl N) + D || N <- [0, 8, 31, 32, 52, 53, 54, 59, 60, 63, 64,
                                   127, 1000, 1023, 1024, 2100],
                             D <- [-1, 0, 1]],
    Floats = [float(1 bsl N) || N <- [0, 8, 31, 52, 53, 54, 60, 63, 64, 127,
                                      1000, 1023]],
    All = Ints ++ Floats ++ [0.5, 1.5, 255.5, 4503599627370496.5,
                             9007199254740991.0, 9007199254740994.0,
                             1.7976931348623157e308, 2.2250738585072014e-308,
                             5.0e-324, 1.0e15, 1.0e22, 123456789.125],
    [0, 0.0] ++ All ++ [-N || N <- All].

atoms() ->
    [a, b, ab, abc, '', 'A', '\x{e9}', 'a\x{e9}', 'a\x{20ac}', '\x{fffd}',
     '\x{10000}', '\x{80}', '\x{7ff}', '\x{800}', true, false, undefined,
     list_to_atom(lists:duplicate(255, $z)),
     list_to_atom(lists:duplicate(255, 16#3b1))].

bytes() ->
    [<<>>, <<0>>, <<1>>, <<1:1>>, <<0:1>>, <<0:2>>, <<1:2>>, <<2:2>>, <<1:7>>,
     <<1, 2>>, <<1, 2, 0:1>>, <<1, 2, 1:1>>, <<1, 2, 3>>, <<1, 2, 3:7>>,
     <<128>>, <<255, 255>>, <<"abc">>, <<"abd">>, <<"ab">>].

compound() ->
    [{}, {1}, {1.0}, {a}, {a, b}, {b, a}, {{}}, {1, {2, 3}}, {1, {2.0, 4}},
     [], [1], [1.0], [a], [1, 2], [1, 2, 3], [1 | 2], [1, 2 | 3], [1 | a],
     [1, 2 | []], [1, a], "abc", "abd", "ab", [97, 98, 99, d], [97, 98 | c],
     [97, 98.0, 99], [97, 300], [[]], [[], []], [[1], 2], ["ab", "cd"],
     [[97, a], b], lists:seq(1, 300), lists:seq(1, 299) ++ [400],
     list_to_tuple(lists:seq(1, 300)), [{k, 1} | <<1>>], [1 | {}], [1 | #{}],
     deep(200, x), deep(200, y), deep(201, x)].

deep(0, X) -> X;
deep(N, X) -> {1, [deep(N - 1, X)]}.

maps() ->
    Big = maps:from_list([{N, N} || N <- lists:seq(1, 50)]),
    [#{}, #{a => 1}, #{a => 1.0}, #{a => 2}, #{b => 0}, #{1 => a},
     #{1.0 => a}, #{1 => 1.0}, #{2 => a}, #{a => 1, b => 2}, #{a => 2, b => 1},
     #{a => 1, b => 2.0}, #{1 => a, 1.0 => b}, #{1 => b, 1.0 => a},
     #{1 => a, 2.0 => a}, #{0.5 => a, 2 => a}, #{z => 1, y => 2, x => 3},
     #{a => #{b => 1, c => 2}, d => 3}, #{a => #{b => 1, c => 2.0}, d => 3},
     #{a => #{b => 2, c => 1}, d => 0}, #{#{a => 1, b => 2} => x, c => y},
     #{#{a => 1, b => 3} => x, c => y}, #{#{a => 1} => 1, #{a => 1.0} => 2},
     #{#{a => 1} => 2, #{a => 1.0} => 1}, #{"k" => 1, <<"k">> => 2, {k} => 3},
     [#{a => 1, b => 2}, 3], [#{b => 2.0, a => 1.0}, 2],
     {#{a => 1, b => 2}, 3}, {#{a => 1, b => 2.0}, 2},
     Big, Big#{51 => 51}, Big#{51.0 => 51}, Big#{a => 51}, Big#{3 => 4},
     Big#{3 => 3.0}, Big#{3 => 4, 7 => 1}, Big#{7 => 8},
     #{Big => 1, b => 2}, #{Big#{3 => 4} => 1, b => 2}, {Big, 1}, {Big, 2}].

ids() ->
    [pid(N, I, S, C) || N <- [a, b], {I, S} <- [{1, 2}, {2, 1}, {1, 1}, {0, 0}],
                        C <- [5, 6]]
        ++ [pid(a, I, 0, 5) || I <- [1, 16#7fffffff, 16#ffffffff]]
        ++ [pid(a, 1, 0, C) || C <- [0, 16#ffffffff]]
        ++ [port(N, I, C) || N <- [a, b], I <- [1, 2], C <- [5, 6]]
        ++ [port(a, I, 5) || I <- [0, 16#ffffffff, 16#ffffffffffffffff]]
        ++ [ref(N, C, W) || N <- [a, b], C <- [5, 6],
                            W <- [[1], [1, 0], [1, 2, 3], [2, 1, 3], [1, 2, 4]]]
        ++ [ref(a, 5, W) || W <- [[], [0], [9], [1, 1], [9, 9, 9],
                                  [1, 2, 3, 0, 0], [1, 2, 3, 0, 1],
                                  [1, 2, 3, 4, 5], [16#ffffffff, 2, 3],
                                  [1, 2, 16#ffffffff]]].

pid(Node, Id, Serial, Creation) ->
    read([88, atom(Node), <<Id:32, Serial:32, Creation:32>>]).
port(Node, Id, Creation) ->
    read([120, atom(Node), <<Id:64, Creation:32>>]).
ref(Node, Creation, Words) ->
    read([90, <<(length(Words)):16>>, atom(Node), <<Creation:32>>,
          [<<W:32>> || W <- Words]]).

%% What of a closure is compared is not the same in all releases; this much is.
funs() ->
    [fun a:a/1, fun a:a/2, fun a:b/1, fun b:a/1, fun z:z/0]
        ++ [closure(M, I, Free) || {M, I} <- [{fm, 1}, {fm, 2}, {fn, 1}],
                                   Free <- [[], [1], [1.0], [2], [1, 2],
                                            [2, 1], [#{a => 1, b => 2}]]].

closure(Module, Index, Free) ->
    Rest = [<<1, 7:128, Index:32, (length(Free)):32>>, atom(Module),
            <<97, Index, 97, 5>>, [88, atom(a), <<1:32, 0:32, 5:32>>],
            [bare(F) || F <- Free]],
    read([112, <<(4 + iolist_size(Rest)):32>>, Rest]).

newer(Otp) when Otp < 29 ->
    [];
newer(_) ->
    Zero = read([70, <<128, 0:56>>]),
    [Zero, {Zero, 1}, {0.0, 1}, {Zero, 0}, [Zero | 0], #{Zero => 1}]
        ++ [record(E, M, N, F) || E <- [0, 1], M <- [rm, rn], N <- [zzr, r],
                                  F <- [[], [{a, 1}], [{a, 2}]]]
        ++ [record(1, rm, r, F) || F <- [[{a, 1.0}], [{zb, 0}], [{aa, 3}],
                                         [{a, 1}, {b, 2}], [{b, 2}, {a, 1}],
                                         [{b, 1}, {a, 2}], [{a, 2}, {b, 1}],
                                         [{a, 0}, {c, 0}], [{b, 0}, {aa, 3}]]]
        ++ [record(0, rm, r, [{a, 0}, {b, 2}])].

record(Exported, Module, Name, Fields) ->
    read([67, <<(length(Fields)):32, Exported>>, atom(Module), atom(Name),
          [atom(K) || {K, _} <- Fields], [bare(V) || {_, V} <- Fields]]).

read(Bytes) -> binary_to_term(iolist_to_binary([131, Bytes])).
bare(T) -> binary:part(term_to_binary(T), 1, byte_size(term_to_binary(T)) - 1).
atom(A) -> [119, byte_size(atom_to_binary(A)), atom_to_binary(A)].

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
        1 -> rand:uniform(5) - 1;
        2 -> (rand:uniform(1 bsl 70) - (1 bsl 69)) bsr (rand:uniform(70) - 1);
        3 -> float(rand:uniform(5));
        4 -> lists:nth(rand:uniform(4), [a, ok, 'caf\x{e9}', '\x{3b1}']);
        5 -> rand:bytes(rand:uniform(4) - 1);
        6 -> N = rand:uniform(12), <<(rand:uniform(1 bsl N)):N>>;
        7 -> [rand:uniform(256) - 1 || _ <- few()]
    end.

many(D) -> [random(D - 1) || _ <- few()].
few() -> lists:seq(1, rand:uniform(5) - 1).

%% The same term with some leaves changed.
near(T) when is_integer(T) ->
    lists:nth(rand:uniform(6), [T, T, T, T + 1, to_float(T), -T]);
near(T) when is_float(T) -> lists:nth(rand:uniform(3), [T, trunc(T), T + 1]);
near(T) when is_tuple(T) -> list_to_tuple(near(tuple_to_list(T)));
near([A | B]) -> [near(A) | near(B)];
near(T) when is_map(T) ->
    maps:from_list([{maybe_near(K), near(V)} || {K, V} <- maps:to_list(T)]);
near(T) -> T.

maybe_near(K) ->
    case rand:uniform(8) of 1 -> near(K); _ -> K end.

to_float(T) when abs(T) < 1 bsl 60 -> float(T);
to_float(T) -> T.
