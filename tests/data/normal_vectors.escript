#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% Prints the vectors of normal_vectors_<release>.txt, one a line: a term whose
%% bytes are chosen among all that mean it, and what term_to_binary makes of it,
%% plain ("-" when it has maps, whose order is the release's own business) and
%% deterministic. All without version byte.
%%   normal_vectors.escript [count [seed]]

-mode(compile).

main([]) -> main(["150"]);
main([N]) -> main([N, "7"]);
main([N, Seed]) ->
    rand:seed(exsss, list_to_integer(Seed)),
    [row(I rem 7) || I <- lists:seq(1, list_to_integer(N))].

row(Depth) ->
    In = iolist_to_binary([term(Depth)]),
    try binary_to_term(<<131, In/binary>>) of
        T ->
            <<131, Det/binary>> = term_to_binary(T, [deterministic]),
            <<131, Plain/binary>> = term_to_binary(T),
            P = case has_map(T) of true -> "-"; false -> hex(Plain) end,
            io:format("~s ~s ~s~n", [hex(In), P, hex(Det)])
    catch
        error:badarg -> ok
    end.

hex(B) -> [io_lib:format("~2.16.0b", [X]) || <<X>> <= B].

has_map(T) when is_map(T) -> map_size(T) > 1 orelse has_map(maps:to_list(T));
has_map(T) when is_tuple(T) -> has_map(tuple_to_list(T));
has_map([H | T]) -> has_map(H) orelse has_map(T);
has_map(_) -> false.

one(L) -> (lists:nth(rand:uniform(length(L)), L))().
r(N) -> rand:uniform(N) - 1.
repeat(N, F) -> [F() || _ <- lists:seq(1, N)].

term(0) ->
    one([fun int/0, fun int/0, fun float/0, fun atom/0, fun atom/0,
         fun binary/0, fun bits/0, fun nil/0, fun string/0, fun pid/0,
         fun port/0, fun ref/0, fun export/0]);
term(D) ->
    one([fun() -> term(0) end, fun() -> tuple(D - 1) end,
         fun() -> list(D - 1) end, fun() -> list(D - 1) end,
         fun() -> bytes(r(6)) end, fun() -> map(D - 1) end,
         fun() -> map(D - 1) end]).

int() ->
    V = one([fun() -> r(300) end, fun() -> r(300) - 280 end,
             fun() -> r(1 bsl 31) + 2147480000 end, fun() -> -r(1 bsl 33) end,
             fun() -> r(1 bsl 70) end, fun() -> -r(1 bsl 64) end]),
    int(V).
int(V) ->
    Small = [fun() -> <<97, V>> end || V >= 0, V < 256],
    Wide = [fun() -> <<98, V:32>> end || V >= -1 bsl 31, V < 1 bsl 31],
    one(Small ++ Wide ++ [fun() -> big(V) end]).
big(V) ->
    M = binary:encode_unsigned(abs(V), little),
    Pad = binary:copy(<<0>>, r(3)),
    Size = byte_size(M) + byte_size(Pad),
    Sign = case V < 0 of true -> 1 + r(3); false -> 0 end,
    one([fun() -> [110, Size, Sign, M, Pad] end,
         fun() -> [111, <<Size:32>>, Sign, M, Pad] end]).

float() ->
    V = one([fun() -> r(1000) / 8 + 1 end, fun() -> -rand:uniform() end,
             fun() -> rand:uniform() * 1.0e300 end]),
    Text = iolist_to_binary(io_lib:format("~.20e", [V])),
    Pad = binary:copy(<<0>>, 31 - byte_size(Text)),
    one([fun() -> <<70, V/float>> end, fun() -> <<99, Text/binary, Pad/binary>> end]).

atom() ->
    atom(one([fun() -> "ok" end, fun() -> "" end, fun() -> [16#e9, $a] end,
              fun() -> [16#3b1, $b] end, fun() -> "z" end,
              fun() -> lists:duplicate(200, 16#e9) end,
              fun() -> [97 + r(26)] end])).
atom(Chars) ->
    Utf8 = unicode:characters_to_binary(Chars),
    U = byte_size(Utf8),
    N = length(Chars),
    Latin1 = lists:all(fun(C) -> C < 256 end, Chars),
    one([fun() -> [118, <<U:16>>, Utf8] end]
        ++ [fun() -> [119, U, Utf8] end || U < 256]
        ++ [fun() -> [100, <<N:16>>, Chars] end || Latin1]
        ++ [fun() -> [115, N, Chars] end || Latin1]).

node_atom() -> one([fun() -> atom("a@b") end, fun() -> atom([16#e9, $@]) end]).

binary() ->
    B = rand:bytes(r(5)),
    N = byte_size(B),
    one([fun() -> [109, <<N:32>>, B] end]
        ++ [fun() -> [77, <<N:32>>, 8, B] end || N > 0]).
bits() -> [77, <<2:32>>, 1 + r(7), rand:bytes(2)].
nil() -> one([fun() -> 106 end, fun() -> <<107, 0:16>> end,
              fun() -> [<<108, 0:32>>, 106] end]).
string() -> bytes(1 + r(4)).

pid() ->
    one([fun() -> [88, node_atom(), <<(r(100)):32, (r(9)):32, (r(9)):32>>] end,
         fun() -> [103, node_atom(), <<(r(100)):32, (r(9)):32, (r(4))>>] end]).
port() ->
    one([fun() -> [120, node_atom(), <<(r(1 bsl 30)):64, (r(9)):32>>] end,
         fun() -> [89, node_atom(), <<(r(1 bsl 30)):32, (r(9)):32>>] end,
         fun() -> [102, node_atom(), <<(r(1 bsl 28)):32, (r(4))>>] end]).
ref() ->
    N = 1 + r(5),
    one([fun() -> [90, <<N:16>>, node_atom(), <<(4 + r(9)):32>>,
                   <<<<(r(1 bsl 18)):32>> || _ <- lists:seq(1, N)>>] end,
         fun() -> [114, <<3:16>>, node_atom(), r(4),
                   <<<<(r(1 bsl 18)):32>> || _ <- lists:seq(1, 3)>>] end,
         fun() -> [101, node_atom(), <<(r(1 bsl 18)):32, (r(4))>>] end]).
export() ->
    [113, atom("m"), atom([16#e9]),
     one([fun() -> <<97, (r(256))>> end, fun() -> <<98, (r(256)):32>> end])].

tuple(D) ->
    N = r(4),
    Es = repeat(N, fun() -> term(D) end),
    one([fun() -> [104, N, Es] end, fun() -> [105, <<N:32>>, Es] end]).

%% Elements in one list, or with the rest as its tail.
list(D) ->
    N = r(4),
    Es = repeat(N, fun() -> term(D) end),
    [<<108, N:32>>, Es,
     one([fun() -> 106 end, fun() -> term(0) end, fun() -> nil() end,
          fun() -> list(D) end, fun() -> bytes(r(4)) end])].
bytes(N) ->
    one([fun() -> B = rand:bytes(N), [<<107, N:16>>, B] end,
         fun() -> [<<108, N:32>>, repeat(N, fun() -> int(r(256)) end),
                   one([fun() -> nil() end, fun() -> bytes(r(3)) end])] end]).

map(D) ->
    N = r(6),
    [<<116, N:32>>, repeat(N, fun() -> [term(min(D, 1)), term(D)] end)].
