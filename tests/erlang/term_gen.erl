%% SPDX-License-Identifier: Apache-2.0
%%
%% Random terms of every type, terms that differ little from another, and
%% bytes that are nearly a term. PropEr chooses a seed and a size and these
%% make a whole batch of them: PropEr's own generators would take minutes.
-module(term_gen).

-export([batch/3, term/1, near/1, mutant/2, envelope/1, strip/1, ext/1,
         records/0]).

%% N terms, always the same ones for the same seed. Those of the BEAM's own
%% making (pids, references) may differ.
batch(N, Size, Seed) ->
    rand:seed(exsss, Seed),
    [term(choose(0, Size)) || _ <- lists:seq(1, N)].

choose(A, B) -> A + rand:uniform(B - A + 1) - 1.

one_of(L) -> lists:nth(rand:uniform(length(L)), L).

bytes(Most) -> rand:bytes(choose(0, Most)).

%% About as deep and wide as S says.
term(S) when S < 2 ->
    scalar();
term(S) ->
    case choose(1, 16 + records()) of
        N when N =< 4 -> scalar();
        N when N =< 7 -> some(S, 8);
        N when N =< 10 -> list_to_tuple(some(S, 8));
        N when N =< 13 -> map(S);
        14 -> [scalar() | some(S, 4)] ++ scalar();
        15 -> closure(S);
        16 -> tower(S);
        17 -> record(S)
    end.

some(S, Most) ->
    N = choose(0, min(S, Most)),
    [term(S div (N + 1)) || _ <- lists:seq(1, N)].

map(S) ->
    case choose(1, 20) of
        1 ->
            K = choose(1, 4),
            maps:from_list([{key(K, I), I}
                            || I <- lists:seq(1, choose(20, 80))]);
        _ ->
            maps:from_list([{K, scalar()} || K <- some(S, 8)])
    end.

key(1, I) -> atom(I);
key(2, I) -> I * 1000003 rem 5000;
key(3, I) when I rem 2 =:= 0 -> float(I);
key(3, I) -> I + 1;
key(4, I) -> {I rem 7, [I]}.

%% One inside the other.
tower(S) ->
    lists:foldl(fun(_, In) -> floor(choose(1, 5), In) end, scalar(),
                lists:seq(1, choose(0, min(S, 40)))).

floor(1, In) -> {In};
floor(2, In) -> [In];
floor(3, In) -> #{In => 1};
floor(4, In) -> #{a => In, 1 => 2};
floor(5, In) -> [1, 2 | In].

closure(S) ->
    X = term(S div 2),
    Y = scalar(),
    case choose(1, 4) of
        1 -> fun() -> {X, Y} end;
        2 -> fun(A, B) -> [A, B | X] end;
        _ -> far_fun(some(S div 2, 3), word() band 16#7fffffff, word(), atom_())
    end.

%% A closure of a module that is not here.
far_fun(Env, Index, OldUniq, Module) ->
    Body = iolist_to_binary(
             [choose(0, 255), rand:bytes(16), <<Index:32, (length(Env)):32>>,
              ext(Module), ext(Index rem 200),
              ext((OldUniq rem 16#7fffffff) - 5),
              <<88, 119, 1, $n, 1:32, 2:32, 3:32>>, [ext(E) || E <- Env]]),
    far([<<112, (byte_size(Body) + 4):32>>, Body]).

%% Native records came with OTP 29: 1, else 0.
records() ->
    case list_to_integer(erlang:system_info(otp_release)) >= 29 of
        true -> 1;
        false -> 0
    end.

record(S) ->
    Fields = lists:usort([choose(1, 300) || _ <- lists:seq(1, choose(0, 6))]),
    far([<<67, (length(Fields)):32, (choose(0, 1))>>, ext(atom_()),
         ext(atom_()), [ext(atom(F)) || F <- shuffle(Fields)],
         [ext(term(S div 6)) || _ <- Fields]]).

shuffle(L) ->
    [X || {_, X} <- lists:sort([{rand:uniform(), X} || X <- L])].

%% --------------------------------------------------------------- scalars

scalar() ->
    case choose(1, 40) of
        N when N =< 8 -> integer();
        N when N =< 12 -> float_();
        N when N =< 18 -> atom_();
        N when N =< 23 -> binary_();
        N when N =< 26 -> bits();
        N when N =< 31 -> string();
        N when N =< 34 -> identifier();
        35 -> export();
        36 -> wide(choose(1, 50));
        37 -> [];
        38 -> {};
        39 -> #{};
        40 -> choose(0, 255)
    end.

integer() ->
    case choose(1, 8) of
        N when N =< 3 -> choose(-1000, 1000);
        N when N =< 6 -> sign((1 bsl one_of(edges())) + choose(-2, 2));
        7 -> sign(binary:decode_unsigned(<<0, (bytes(40))/binary>>));
        8 -> sign(binary:decode_unsigned(<<0, (bytes(300))/binary>>))
    end.

sign(N) -> one_of([1, -1]) * N.

edges() ->
    [0, 7, 8, 15, 16, 26, 27, 28, 31, 32, 58, 59, 60, 62, 63, 64, 65, 96, 127,
     128, 2031, 2032, 2039, 2040, 2041].

float_() ->
    case choose(1, 10) of
        N when N =< 3 ->
            as_float(rand:bytes(8));
        4 ->
            <<S:1, Exponent:11, Fraction:52>> = rand:bytes(8),
            as_float(<<S:1, (Exponent band 1):11, Fraction:52>>);
        N when N =< 6 ->
            choose(-100000, 100000) / 100;
        7 ->
            float(choose(-(1 bsl 57), 1 bsl 57));
        8 ->
            float((1 bsl choose(0, 1000)) + choose(-1, 1));
        _ ->
            one_of([0.0, -0.0, 1.0, 5.0e-324, 1.0e22, 1.0e23, 0.1, 4.35,
                    2.2250738585072014e-308, 1.7976931348623157e308,
                    9007199254740992.0, 1.0e15, 1.0e16])
    end.

as_float(<<S:1, 2047:11, M:52>>) -> as_float(<<S:1, 1023:11, M:52>>);
as_float(<<F/float>>) -> F.

%% From a pool, because atoms stay for ever.
atom_() ->
    case choose(1, 10) of
        N when N =< 5 -> one_of(plain_atoms());
        N when N =< 9 -> atom(choose(1, 2000));
        10 -> long(one_of([$a, 16#e9, 16#20ac, 16#10ffff]))
    end.

plain_atoms() ->
    [a, b, ok, '', true, false, nil, undefined, null, error, 'end', 'A', '_',
     'a b', 'it\'s', '\n', '\0', '\d', '\x{80}', '\x{e9}', '\x{20ac}',
     '\x{1F600}\x{ff}', '\\', '"', 'a@b', 'fun', 'maybe', 'else', 'a.b'].

long(C) -> list_to_atom(lists:duplicate(255, C)).

%% The I-th of the pool: of one to twelve characters of one alphabet.
atom(I) ->
    Alphabet = element(I rem 5 + 1,
                       {{$a, 26}, {$\s, 95}, {0, 256}, {16#370, 500},
                        {16#1F000, 16#F00}}),
    list_to_atom([letter(Alphabet, erlang:phash2({I, N}))
                  || N <- lists:seq(1, I rem 12 + 1)]).

letter({First, N}, Hash) -> First + Hash rem N.

binary_() ->
    case choose(1, 12) of
        N when N =< 7 -> bytes(30);
        N when N =< 11 -> unicode:characters_to_binary(text());
        12 -> bytes(400)
    end.

bits() ->
    Bytes = bytes(20),
    N = choose(0, bit_size(Bytes)),
    <<Bits:N/bits, _/bits>> = Bytes,
    Bits.

string() ->
    case choose(1, 7) of
        N when N =< 3 -> binary_to_list(bytes(30));
        N when N =< 5 -> text();
        6 -> binary_to_list(bytes(20)) ++ [integer()];
        7 -> binary_to_list(bytes(20)) ++ choose(0, 300)
    end.

text() ->
    [character() || _ <- lists:seq(1, choose(0, 20))].

character() ->
    case choose(1, 9) of
        N when N =< 6 -> choose($\s, $~);
        7 -> choose(0, 255);
        8 -> choose(16#100, 16#d7ff);
        9 -> choose(16#e000, 16#10ffff)
    end.

%% More than fits into a small header.
wide(1) -> lists:duplicate(choose(65530, 65540), choose(254, 256));
wide(2) -> binary:copy(rand:bytes(3000), 30);
wide(N) when N < 25 -> list_to_tuple(lists:seq(1, choose(250, 300)));
wide(_) -> lists:seq(1, choose(250, 300)).

%% ----------------------------------------------------------- identifiers

identifier() ->
    case choose(1, 9) of
        1 -> local(choose(1, 5));
        N when N =< 3 ->
            far([88, name(), <<(word()):32, (word()):32, (word()):32>>]);
        4 -> far([120, name(), <<(word()):32, (word()):32, (word()):32>>]);
        5 -> far([89, name(), <<(word()):32, (word()):32>>]);
        N when N =< 7 ->
            W = choose(1, 5),
            far([<<90, W:16>>, name(), <<(word()):32>>,
                 [<<(word()):32>> || _ <- lists:seq(1, W)]]);
        _ -> old(choose(1, 4), choose(0, 3))
    end.

old(1, C) -> far([103, name(), <<(word()):32, (word()):32, C>>]);
old(2, C) -> far([102, name(), <<(word()):32, C>>]);
old(3, C) -> far([101, name(), <<(choose(0, 16#3ffff)):32, C>>]);
old(4, C) ->
    far([<<114, 2:16>>, name(), <<C, (choose(0, 16#3ffff)):32, (word()):32>>]).

local(1) -> self();
local(2) -> whereis(init);
local(3) -> make_ref();
local(4) -> hd(erlang:ports());
local(5) -> A = alias(), unalias(A), A.

name() ->
    ext(one_of([a@b, 'x@y.z', 'caf\x{e9}@h', '\x{20ac}@h', '', n, m, nonode])).

word() ->
    case choose(1, 4) of
        1 -> choose(0, 16#ffffffff);
        2 -> one_of([16#7fff, 16#8000, 16#ffff, 16#fffffff, 16#10000000,
                     16#7fffffff, 16#80000000, 16#ffffffff]);
        _ -> choose(0, 16)
    end.

export() ->
    case choose(1, 2) of
        1 ->
            one_of([fun lists:map/2, fun erlang:self/0, fun no:such/255,
                    fun 'A b':'C'/0, fun erlang:'+'/2]);
        2 ->
            M = atom_(),
            F = atom_(),
            A = choose(0, 255),
            fun M:F/A
    end.

%% A term from its bytes.
far(Bytes) ->
    binary_to_term(iolist_to_binary([131, Bytes])).

%% Its bytes, without version.
ext(Term) ->
    strip(term_to_binary(Term, [{minor_version, 2}])).

strip(<<131, Bytes/binary>>) -> Bytes.

%% ------------------------------------------------------------- neighbours

%% A term that differs little from this one, or not at all: what comparing
%% has to tell apart.
near(T) ->
    case choose(1, 7) of
        N when N =< 4 -> nudge(T);
        5 -> T;
        _ -> term(6)
    end.

nudge(T) when is_integer(T) ->
    one_of([T + 1, -T, T - 1 | [float(T) || abs(T) < 1 bsl 1000]]);
nudge(T) when is_float(T) ->
    one_of([-T, T * 0.9999999999999999 | [trunc(T) || abs(T) < 1.0e40]]);
nudge([]) ->
    one_of([{}, <<>>, [a], #{}]);
nudge([H | T]) ->
    case choose(1, 2) of
        1 -> [nudge(H) | T];
        2 -> [H | nudge(T)]
    end;
nudge({}) ->
    one_of([[], {a}, #{}]);
nudge(T) when is_tuple(T) ->
    I = choose(1, tuple_size(T)),
    setelement(I, T, nudge(element(I, T)));
nudge(M) when is_map(M), map_size(M) > 0 ->
    K = one_of(maps:keys(M)),
    case choose(1, 3) of
        1 -> (maps:remove(K, M))#{nudge(K) => maps:get(K, M)};
        2 -> M#{K := nudge(maps:get(K, M))};
        3 -> maps:remove(K, M)
    end;
nudge(T) when is_atom(T) ->
    one_of(plain_atoms());
nudge(B) when is_bitstring(B) ->
    one_of([<<B/bits, 0:1>>, <<0, B/bits>>, <<B/bits, 0>>]
           ++ [binary:part(B, 0, byte_size(B) - 1)
               || is_binary(B), B =/= <<>>]);
nudge(_) ->
    scalar().

%% ---------------------------------------------------------------- mutants

%% Bytes made from those of a term by a few random changes; with pieces of
%% another one.
mutant(Bytes, Other) ->
    N = one_of([1, 1, 1, 2, 2, choose(3, 6)]),
    lists:foldl(fun(_, B) -> change(choose(1, 24), B, Other) end, Bytes,
                lists:seq(1, N)).

tag() ->
    one_of([67, 70, 77, 80, 82, 88, 89, 90, 97, 98, 99, 100, 101, 102, 103,
            104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116,
            117, 118, 119, 120, 121, 131]).

%% Terms that are allowed but that no encoder writes, and some that are not.
odd() ->
    [<<110, 0, 0>>, <<110, 0, 1>>, <<110, 3, 0, 0:24>>, <<110, 2, 7, 1, 0>>,
     <<111, 0:32, 0>>, <<111, 2:32, 1, 5, 0>>, <<98, 5:32>>, <<107, 0:16>>,
     <<108, 0:32, 106>>, <<108, 0:32, 97, 1>>, <<108, 1:32, 97, 1, 107, 1:16, 2>>,
     <<108, 1:32, 97, 1, 108, 1:32, 97, 2, 106>>, <<105, 0:32>>,
     <<105, 1:32, 106>>, <<77, 1:32, 8, 1>>, <<77, 1:32, 3, 255>>,
     <<77, 0:32, 3>>, <<77, 1:32, 9, 1>>, <<77, 1:32, 0, 1>>,
     <<100, 1:16, 233>>, <<115, 1, 233>>, <<118, 2:16, 16#c3, 16#a9>>,
     <<118, 2:16, 16#c0, 16#80>>, <<119, 3, 16#ed, 16#a0, 16#80>>,
     <<99, "1.50000000000000000000e+00", 0:40>>, <<99, "1.5", 0:224>>,
     <<99, "1e5", 0:224>>, <<99, " 1.5", 0:216>>, <<99, "1.5e400", 0:192>>,
     <<99, "-0.0e-3", 0:192>>, <<99, "1.5x", 0:216>>, <<99, "1.5", 0, "x", 0:208>>,
     <<99, "+1.5", 0:216>>, <<99, "1.", 0:232>>, <<99, ".5", 0:232>>,
     <<70, 16#7ff0:16, 0:48>>, <<70, 16#7ff8:16, 0:48>>, <<70, 16#8000:16, 0:48>>,
     <<116, 2:32, 97, 1, 106, 97, 1, 106>>, <<116, 2:32, 97, 1, 106, 98, 1:32, 106>>,
     <<116, 2:32, 97, 1, 106, 70, 1.0/float, 106>>,
     <<116, 2:32, 70, 0.0/float, 106, 70, -0.0/float, 106>>,
     <<116, 2:32, 119, 1, $a, 106, 100, 1:16, $a, 106>>,
     <<116, 2:32, 107, 1:16, 5, 106, 108, 1:32, 97, 5, 106, 106>>,
     <<103, 119, 1, $n, 1:32, 2:32, 3>>, <<103, 119, 1, $n, 1:32, 2:32, 4>>,
     <<102, 119, 1, $n, 1:32, 3>>, <<101, 119, 1, $n, 1:32, 3>>,
     <<101, 119, 1, $n, 16#40000:32, 3>>, <<114, 1:16, 119, 1, $n, 3, 1:32>>,
     <<90, 6:16, 119, 1, $n, 0:(7 * 32)>>, <<90, 0:16, 119, 1, $n, 0:32>>,
     <<113, 119, 1, $m, 119, 1, $f, 97, 255>>,
     <<113, 119, 1, $m, 119, 1, $f, 98, 256:32>>,
     <<113, 119, 1, $m, 119, 1, $f, 98, 255:32>>,
     <<113, 119, 1, $m, 119, 1, $f, 110, 1, 0, 5>>,
     <<67, 0:32, 1, 119, 1, $m, 119, 1, $r>>,
     <<67, 2:32, 0, 119, 1, $m, 119, 1, $r, 119, 1, $a, 119, 1, $a, 106, 106>>].

%% What stands before a term in a file, and may be around it: mostly right, with
%% the given bytes inside.
envelope(Inner) ->
    case choose(1, 12) of
        N when N =< 3 -> compressed(byte_size(Inner), zlib:compress(Inner));
        4 -> compressed(byte_size(Inner), zlib:compress(Inner), <<80, 1>>);
        5 -> compressed(byte_size(Inner) + choose(-2, 2), zlib:compress(Inner));
        6 -> compressed(word() band 16#ffffff, zlib:compress(Inner));
        7 -> compressed(byte_size(Inner), mutant(zlib:compress(Inner), Inner));
        8 -> compressed(byte_size(Inner), odd_stream(choose(1, 5), Inner));
        9 -> <<131, (one_of([<<131>>, <<80>>, <<80, 0:32>>]))/binary,
               Inner/binary>>;
        10 -> <<131, 80, (bytes(20))/binary>>;
        11 -> <<(choose(129, 133)), Inner/binary>>;
        12 -> <<131, Inner/binary>>
    end.

compressed(Size, Stream) ->
    compressed(Size, Stream, <<>>).

compressed(Size, Stream, Behind) ->
    <<131, 80, Size:32, Stream/binary, Behind/binary>>.

odd_stream(1, B) -> zlib:zip(B);
odd_stream(2, B) -> zlib:gzip(B);
odd_stream(3, B) -> stream(B, choose(0, 9), 9 + choose(0, 6), default, <<>>);
odd_stream(4, B) -> stream(B, 9, 15, one_of([huffman_only, filtered]), <<>>);
odd_stream(5, B) -> stream(B, 9, 15, default, <<0, B/binary>>).

%% Deflated by hand, perhaps with a dictionary.
stream(B, Level, Window, Strategy, Dictionary) ->
    Z = zlib:open(),
    ok = zlib:deflateInit(Z, Level, deflated, Window, 8, Strategy),
    [zlib:deflateSetDictionary(Z, Dictionary) || Dictionary =/= <<>>],
    Stream = iolist_to_binary(zlib:deflate(Z, B, finish)),
    ok = zlib:close(Z),
    Stream.

change(1, B, _) ->
    <<B/binary, (one_of([<<0>>, <<106>>, <<131, 106>>]))/binary>>;
change(N, B, Other) ->
    At = choose(0, byte_size(B)),
    <<Before:At/binary, Rest/binary>> = B,
    <<Before/binary, (rest(N, Rest, Other))/binary>>.

rest(2, _, _) ->
    <<>>;
rest(N, Rest, _) when N =< 4 ->
    <<(one_of(odd()))/binary, Rest/binary>>;
rest(N, Rest, Other) when N =< 6 ->
    From = choose(0, byte_size(Other)),
    Piece = binary:part(Other, From, min(choose(1, 30),
                                         byte_size(Other) - From)),
    <<Piece/binary, Rest/binary>>;
rest(N, Rest, _) when N =< 8 ->
    Piece = binary:part(Rest, 0, min(choose(1, 12), byte_size(Rest))),
    <<Piece/binary, Rest/binary>>;
rest(N, Rest, _) when N =< 10 ->
    Gone = min(choose(1, 6), byte_size(Rest)),
    <<_:Gone/binary, Left/binary>> = Rest,
    Left;
rest(_, <<>>, _) ->
    <<>>;
rest(N, <<X, Rest/binary>>, _) when N =< 14 ->
    <<(X bxor (1 bsl choose(0, 7))), Rest/binary>>;
rest(N, <<_, Rest/binary>>, _) when N =< 17 ->
    <<(one_of([0, 1, 4, 255, choose(0, 255), tag()])), Rest/binary>>;
rest(N, <<X, Rest/binary>>, _) when N =< 19 ->
    <<(X + choose(-3, 3)), Rest/binary>>;
rest(_, Rest, _) ->
    swap_tag(Rest, <<>>, 16).

%% The next byte that could be a tag.
swap_tag(<<X, Rest/binary>>, Before, Left) when X < 67, Left > 0 ->
    swap_tag(Rest, <<Before/binary, X>>, Left - 1);
swap_tag(<<_, Rest/binary>>, Before, _) ->
    <<Before/binary, (tag()), Rest/binary>>;
swap_tag(<<>>, Before, _) ->
    Before.
