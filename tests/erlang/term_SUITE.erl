%% SPDX-License-Identifier: Apache-2.0
%%
%% The codec of terms against that of the BEAM, with random terms: what one
%% makes the other reads as the same term, both refuse the same bytes, and
%% texts, hashes and the order of terms agree. The program under test is
%% $TERM_PORT, see term_codec.erl.
%%
%% $NUMTESTS is how many terms (100000). A failure says the seed and the size
%% of the batch it happened in: TERM_SEED=... TERM_SIZE=... runs that batch.
-module(term_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").
-include("patience.hrl").

-compile([export_all, nowarn_export_all]).

-import(term_gen, [ext/1, strip/1]).

-define(BATCH, 100).
-define(MAX_SIZE, 30).

suite() ->
    [{timetrap, {minutes, 60}}].

all() ->
    [known_terms, limits, deep, random_terms, random_texts, random_formats,
     random_bytes, random_pairs, compressed, envelopes, ei].

init_per_suite(Config) ->
    {module, proper} = code:ensure_loaded(proper),
    Config.

end_per_suite(_) ->
    ok.

%% ----------------------------------------------------------------- cases

%% The terms that the other suites send about, and wider ones.
known_terms(_) ->
    Terms = cnode_test:terms(),
    one_batch(fun terms_differ/2, Terms),
    one_batch(fun texts_differ/2, Terms).

random_terms(_) ->
    run(fun terms_differ/2, 1).

%% Erlang's own printing is slow, so fewer of them.
random_texts(_) ->
    run(fun texts_differ/2, 5).

random_formats(_) ->
    latin1 = io:printable_range(),
    run(fun formats_differ/2, 10).

random_bytes(_) ->
    run(fun bytes_differ/2, 1).

random_pairs(_) ->
    run(fun order_differs/2, 1).

compressed(_) ->
    run(fun compressed_differ/2, 10).

envelopes(_) ->
    run(fun envelopes_differ/2, 2).

%% The largest integer and tuple of OTP 26 and later, and one more.
limits(_) ->
    Big = fun(N) -> <<111, N:32, 0, 0:(8 * (N - 1)), 1>> end,
    Tuple = fun(N) -> <<105, N:32, (binary:copy(<<106>>, N))/binary>> end,
    Most = [Big(524280), Tuple(16#ffffff)],
    More = [Big(524281), Tuple(16#1000000)],
    with_port(
      fun(Port) ->
              ?assertMatch([{0, _}, {0, _}], ask(Port, $c, Most)),
              [?assertMatch({ok, _}, beam(B)) || B <- Most],
              [?assertNotEqual(0, S) || {S, _} <- ask(Port, $c, More)],
              [?assertEqual(error, beam(B)) || B <- More, otp() >= 26]
      end).

%% Nesting costs no stack.
deep(_) ->
    N = lists:seq(1, 100000),
    Terms = [lists:foldl(fun(_, T) -> {T} end, x, N),
             lists:foldl(fun(_, T) -> [T] end, [], N),
             lists:foldl(fun(_, T) -> [a, b | [T]] end, 1, N),
             lists:foldl(fun(_, T) -> #{T => 1} end, #{}, lists:seq(1, 300)),
             lists:foldl(fun(_, T) -> #{1 => T} end, #{}, N)],
    one_batch(fun codec_differs/2, Terms).

%% Erlang's own library in C and ours do the same with what both know.
ei(_) ->
    run(fun ei_differs/2, 10).

%% ---------------------------------------------------------------- driver

%% Runs a check, which gives what differs as [{Term, What}], on batches of
%% random terms, on as many schedulers as there are.
run(Check, Part) ->
    case os:getenv("TERM_SEED") of
        false ->
            Workers = min(4, erlang:system_info(schedulers_online)),
            N = list_to_integer(os:getenv("NUMTESTS", "100000")),
            Each = max(1, N div (Part * ?BATCH * Workers)),
            workers(Workers, fun() -> quickcheck(Check, Each) end);
        Seed ->
            Size = list_to_integer(os:getenv("TERM_SIZE", "10")),
            with_port(fun(Port) ->
                              true = batch(Check, Port,
                                           list_to_integer(Seed), Size)
                      end)
    end.

workers(N, Fun) ->
    Monitors = [spawn_monitor(fun() -> Fun(), exit(done) end)
                || _ <- lists:seq(1, N)],
    [receive {'DOWN', M, process, P, Reason} -> ?assertEqual(done, Reason) end
     || {P, M} <- Monitors].

quickcheck(Check, Batches) ->
    with_port(
      fun(Port) ->
              Types = {proper_types:binary(7),
                       proper_types:choose(1, ?MAX_SIZE)},
              Test = fun({Seed, Size}) ->
                             keep(Check, Port, binary:decode_unsigned(Seed),
                                  Size)
                     end,
              proper:quickcheck(proper:forall(Types, Test),
                                [quiet, noshrink, {numtests, Batches}])
                  orelse exit(get(failure))
      end).

%% What failed, for the report of the worker; PropEr wants a boolean.
keep(Check, Port, Seed, Size) ->
    try batch(Check, Port, Seed, Size) of
        true -> true;
        Failure -> put(failure, Failure), false
    catch Class:Reason:Stack ->
            put(failure, {{Seed, Size}, Class, Reason, Stack}), false
    end.

with_port(Fun) ->
    Port = term_codec:open(),
    try Fun(Port) after term_codec:close(Port) end.

one_batch(Check, Terms) ->
    true = with_port(fun(Port) -> judge(Check, Port, Terms, known) end).

batch(Check, Port, Seed, Size) ->
    Terms = term_gen:batch(?BATCH, Size, Seed),
    judge(Check, Port, Terms, {Seed, Size}).

judge(Check, Port, Terms, From) ->
    case Check(Port, Terms) of
        [] ->
            true;
        [{T, _} | _] ->
            Small = shrink(Check, Port, T),
            [{_, What} | _] = Check(Port, [Small]) ++ [{T, unsteady}],
            Failure = {From, What, Small, hex(ext(Small))},
            ct:pal("seed and size ~w: ~ts~nof ~ts~nbytes ~ts",
                   [From, brief("~0tp", What), brief("~0tp", Small),
                    brief("~ts", hex(ext(Small)))]),
            Failure
    end.

brief(Format, T) ->
    io_lib:format(Format, [T], [{chars_limit, 2000}]).

hex(Bytes) ->
    string:lowercase(binary:encode_hex(Bytes)).

%% --------------------------------------------------------------- smaller

%% The smallest term that fails too, as far as small steps lead.
shrink(Check, Port, T) ->
    shrink(Check, Port, T, 300).

shrink(_, _, T, 0) ->
    T;
shrink(Check, Port, T, Steps) ->
    Smaller = smaller(T),
    case [S || {S, _} <- Check(Port, Smaller)] of
        [] -> T;
        [S | _] -> shrink(Check, Port, S, Steps - 1)
    end.

smaller({mutant, B}) ->
    [{mutant, cut_out(B, At, N)} || N <- [64, 16, 4, 2, 1], N =< byte_size(B),
                                    At <- lists:seq(0, byte_size(B) - N)];
smaller({envelope, _, _}) ->
    [];
smaller({format, How, T}) ->
    [{format, How, S} || S <- smaller(T)];
smaller({pair, A, B}) ->
    [{pair, X, Y} || {X, Y} <- both(parts(A), parts(B))]
        ++ [{pair, X, Y} || {X, Y} <- both(without(A), without(B))]
        ++ [{pair, X, B} || X <- without(A)] ++ [{pair, A, Y} || Y <- without(B)];
smaller(T) ->
    lists:sublist(parts(T), 500) ++ lists:sublist(without(T), 200).

both([A | As], [B | Bs]) -> [{A, B} | both(As, Bs)];
both(_, _) -> [].

cut_out(B, At, N) ->
    <<Before:At/binary, _:N/binary, After/binary>> = B,
    <<Before/binary, After/binary>>.

parts([H | T]) -> [H, T];
parts(T) when is_tuple(T) -> tuple_to_list(T);
parts(T) when is_map(T) -> maps:keys(T) ++ maps:values(T);
parts(T) when is_function(T) -> parts_of_fun(T);
parts(T) when is_integer(T), abs(T) > 1 -> [T div 256, T div 2];
parts(T) ->
    case is_native_record(T) of
        true -> parts_of_record(T);
        false -> []
    end.

parts_of_fun(T) ->
    case erlang:fun_info(T, type) of
        {type, local} -> element(2, erlang:fun_info(T, env));
        _ -> []
    end.

parts_of_record(T) ->
    Names = records:get_field_names(T),
    [records:get_module(T), records:get_name(T) | Names]
        ++ [records:get(Name, T) || Name <- Names].

without([H | T] = L) ->
    [L -- [X] || X <- elements(L)] ++ [[S | T] || S <- smaller(H)];
without(T) when is_tuple(T) ->
    [erlang:delete_element(I, T) || I <- lists:seq(1, tuple_size(T))]
        ++ [setelement(I, T, S) || I <- lists:seq(1, tuple_size(T)),
                                   S <- smaller(element(I, T))];
without(T) when is_map(T) ->
    [maps:remove(K, T) || K <- maps:keys(T)]
        ++ [T#{K := S} || {K, V} <- maps:to_list(T), S <- smaller(V)];
without(B) when is_binary(B), B =/= <<>> ->
    Half = byte_size(B) div 2,
    [binary:part(B, 0, Half), binary:part(B, Half, byte_size(B) - Half),
     binary:part(B, 1, byte_size(B) - 1)];
without(_) ->
    [].

%% Of a proper list, else none.
elements(L) ->
    try length(L) of _ -> L catch error:badarg -> [] end.

%% ----------------------------------------------------------------- terms

%% Everything that can be asked about one term.
terms_differ(Port, Terms) ->
    codec_differs(Port, Terms) ++ json_differs(Port, Terms).

codec_differs(Port, Terms) ->
    Bytes = [ext(T) || T <- Terms],
    lists:append(
      [differ(check, Terms, ask(Port, $c, Bytes), fun is_ok/2),
       differ(reencode, Terms, ask(Port, $r, 0, Bytes), fun same/2),
       differ(measured, Terms, ask(Port, $r, 1, Bytes), fun same/2),
       differ(next, Terms, ask(Port, $r, 2, Bytes), fun same/2),
       differ(open_lists, Terms, ask(Port, $r, 3, Bytes), fun same/2),
       differ(as_otp_25, Terms, ask(Port, $r, 4, Bytes), fun same_otp_25/2),
       differ(index, Terms, ask(Port, $i, Bytes), fun is_equal/2),
       differ(normal, Terms, ask(Port, $n, 0, Bytes), fun same/2),
       differ(deterministic, Terms, ask(Port, $n, 2, Bytes), fun is_sorted/2),
       differ(scan, Terms, ask(Port, $l, 7, Bytes), fun is_length/2),
       differ(phash2, Terms, ask(Port, $h, 0, Bytes), fun same_hash/2),
       differ(phash2_1, Terms, ask(Port, $h, 1 bsl 27, Bytes),
              fun same_phash2_1/2)]).

ask(Port, Op, Items) ->
    term_codec:ask(Port, Op, Items).

ask(Port, Op, Arg, Items) ->
    term_codec:ask(Port, Op, Arg, Items).

%% Those terms for which the answer is not what the test says.
differ(What, Terms, Answers, Test) ->
    [{T, {What, A}} || {T, A} <- lists:zip(Terms, Answers), not Test(T, A)].

is_ok(_, {Status, _}) ->
    Status =:= 0.

%% The same term, and the same bytes, because term_to_binary has no choice.
same(T, {0, Bytes}) ->
    Bytes =:= ext(T) orelse equal(T, Bytes) andalso may_differ(T);
same(_, _) ->
    false.

%% The free variables of funs are copied, with the atoms in them.
same_otp_25(T, {0, Bytes}) ->
    Bytes =:= strip(term_to_binary(T, [{minor_version, 1}]))
        orelse equal(T, Bytes) andalso
        has(fun(X) -> is_closure(X) orelse is_port(X) andalso otp() >= 26
            end, T);
same_otp_25(_, _) ->
    false.

%% The pairs of a map have no order in an index.
is_equal(T, {Status, Bytes}) ->
    Status =:= 0 andalso ext_sorted_of(Bytes) =:= ext_sorted(T).

is_sorted(T, {Status, Bytes}) ->
    Status =:= 0 andalso
        (Bytes =:= strip(ext_sorted(T))
         orelse (may_differ(T) orelse has_own_order(T))
         andalso ext_sorted_of(Bytes) =:= ext_sorted(T)).

is_length(T, Answer) ->
    Answer =:= {0, <<(byte_size(ext(T))):32>>}.

ext_sorted_of(Bytes) ->
    ext_sorted(binary_to_term(<<131, Bytes/binary>>)).

%% The same term. Comparing bytes, too, tells 0.0 and -0.0 apart, which are
%% equal up to OTP 26.
equal(T, Bytes) ->
    try binary_to_term(<<131, Bytes/binary>>) of
        Other -> Other =:= T andalso ext(Other) =:= ext(T)
    catch error:badarg ->
            false
    end.

%% OTP 25 writes ports with a small number in the old way.
may_differ(T) ->
    otp() < 26 andalso has(fun erlang:is_port/1, T).

same_hash(T, {Status, Bytes}) ->
    has_no_hash(T)
        orelse {Status, Bytes} =:= {0, <<(erlang:phash2(T, 1 bsl 32)):32>>}.

same_phash2_1(T, {Status, Bytes}) ->
    has_no_hash(T)
        orelse {Status, Bytes} =:= {0, <<(erlang:phash2(T)):32>>}.

%% In OTP 29 the hash of a native record depends on its node.
has_no_hash(T) ->
    otp() >= 29 andalso has(fun is_native_record/1, T).

json_differs(Port, Terms) ->
    Bytes = [ext(T) || T <- Terms],
    Texts = ask(Port, $j, Bytes),
    Backs = ask(Port, $k, [Text || {_, Text} <- Texts]),
    differ(json, Terms, Texts, fun is_ok/2)
        ++ [{T, {json, Text, Back}}
            || {T, B, {_, Text}, Back} <- zip4(Terms, Bytes, Texts, Backs),
               Back =/= {0, B}].

zip4([A | As], [B | Bs], [C | Cs], [D | Ds]) ->
    [{A, B, C, D} | zip4(As, Bs, Cs, Ds)];
zip4([], [], [], []) ->
    [].

otp() ->
    list_to_integer(erlang:system_info(otp_release)).

%% Is there, anywhere in the term, one for which this holds?
has(Is, T) ->
    Is(T) orelse has_in(Is, T).

has_in(Is, [H | T]) -> has(Is, H) orelse has(Is, T);
has_in(Is, T) when is_tuple(T) -> has(Is, tuple_to_list(T));
has_in(Is, T) when is_map(T) -> has(Is, maps:to_list(T));
has_in(Is, T) when is_function(T) -> has(Is, parts_of_fun(T));
has_in(Is, T) -> is_native_record(T) andalso has(Is, parts_of_record(T)).

%% ----------------------------------------------------------------- texts

texts_differ(Port, All) ->
    Terms = [T || T <- All, has_text(T)],
    Bytes = [ext(T) || T <- Terms],
    Ours = ask(Port, $p, Bytes),
    differ(print, Terms, Ours, fun prints/2)
        ++ differ(print_same, Terms, Ours, fun prints_same/2)
        ++ lists:append([theirs_differ(Port, Format, Terms)
                         || Format <- ["~w", "~p", "~tp", "~0tp", "~tw"]]).

%% What Erlang itself can read back.
has_text(T) ->
    is_short(T) andalso
        not has(fun(X) ->
                        is_identifier(X) orelse is_closure(X)
                            orelse is_native_record(X)
                end, T).

is_short(T) ->
    erlang:external_size(T) < 2048 andalso depth(T) < 256.

is_identifier(X) ->
    is_pid(X) orelse is_port(X) orelse is_reference(X).

depth([H | T]) -> max(1 + depth(H), depth(T));
depth(T) when is_tuple(T) -> depth(tuple_to_list(T));
depth(T) when is_map(T) -> depth(maps:to_list(T));
depth(_) -> 0.

is_closure(X) ->
    is_function(X) andalso erlang:fun_info(X, type) =:= {type, local}.

%% A native record; tag 67 came with it.
is_native_record(X) ->
    otp() >= 29
        andalso not is_function(X) andalso not is_map(X) andalso not is_list(X)
        andalso not is_tuple(X) andalso not is_number(X)
        andalso not is_bitstring(X) andalso not is_atom(X)
        andalso binary:first(ext(X)) =:= 67.

prints(T, {0, Text}) ->
    try cnode_test:parse(Text) of
        Other -> ext_sorted(Other) =:= ext_sorted(T)
    catch _:_ ->
            false
    end.

%% Bytes that are equal for equal terms.
ext_sorted(T) ->
    term_to_binary(T, [deterministic, {minor_version, 2}]).

prints_same(T, {0, Text}) ->
    has(fun prints_otherwise/1, T)
        orelse unicode:characters_to_binary(io_lib:format("~0tp", [T])) =:=
        Text.

%% The keys of a map have no order here, binaries are text when they are UTF-8,
%% very large integers have base 16, and we quote what is reserved in any
%% release, also in the name of a function.
prints_otherwise(T) when is_map(T) -> true;
prints_otherwise(T) when is_binary(T) -> binary:bin_to_list(T) =/=
                                             [C || <<C>> <= T, C < 128];
prints_otherwise(T) when is_integer(T) -> byte_size(ext(T)) > 2048;
prints_otherwise(T) when T =:= 'maybe'; T =:= 'else' -> otp() < 27;
prints_otherwise(T) when is_function(T) -> true;
prints_otherwise(_) -> false.

%% Erlang does not quote all names of a function that it should, so ask it, too.
theirs_differ(Port, Format, All) ->
    Both = [{T, Text} || T <- All,
                         Text <- [unicode:characters_to_binary(
                                    io_lib:format(Format, [T]))],
                         not has(fun erlang:is_function/1, T)
                             orelse prints(T, {0, Text})],
    {Terms, Texts} = lists:unzip(Both),
    differ({parse, Format}, Terms, ask(Port, $x, Texts), fun parses/2).

parses(T, {0, Bytes}) ->
    equal_map(T, Bytes);
parses(_, _) ->
    false.

equal_map(T, Bytes) ->
    try binary_to_term(<<131, Bytes/binary>>) of
        Other -> ext_sorted(Other) =:= ext_sorted(T)
    catch error:badarg ->
            false
    end.

%% --------------------------------------------------------------- formats

%% Character by character as io_lib:format, whatever the control sequence, the
%% width, the column where it begins and the range of erl's option +pc.
formats_differ(Port, [{format, _, _} | _] = Items) ->
    Both = lists:zip3(Items, theirs(Items), [ours(Port, I) || I <- Items]),
    [{I, {erlang, A, ours, B}}
     || {{format, How, _} = I, A, B} <- Both, B =/= {0, A},
        not counts_otherwise(How, A)];
formats_differ(Port, Terms) ->
    Items = [{format, How, T} || T <- Terms, is_short(T),
                                 not has(fun is_identifier/1, T),
                                 How <- [random_format(), random_format()],
                                 not formats_otherwise(How, T)],
    formats_differ_all(Port, Items).

formats_differ_all(_, []) -> [];
formats_differ_all(Port, Items) -> formats_differ(Port, Items).

random_format() ->
    {one_of(["w", "tw", "p", "tp", "p", "tp"]), one_of([latin1, unicode]),
     one_of([0, 1, 7, 20, 40, 79, 80, 81, 132, 500]), one_of([1, 1, 2, 15, 70])}.

one_of(L) -> lists:nth(rand:uniform(length(L)), L).

ours(Port, {format, {Control, Range, Width, Column}, T}) ->
    Style = case lists:last(Control) of $p -> 0; $w -> 1 end,
    Pc = case Range of latin1 -> 1; unicode -> 2 end,
    Latin1 = case hd(Control) of $t -> 0; _ -> 1 end,
    <<Arg:32>> = <<Column:12, Width:12, 0:3, Latin1:1, Pc:2, Style:2>>,
    [Answer] = ask(Port, $p, Arg, [ext(T)]),
    Answer.

%% In the order of the items; the other range needs another node.
theirs(Items) ->
    Texts = lists:zip(Items, lists:seq(1, length(Items))),
    {Here, There} = lists:partition(fun({{format, H, _}, _}) ->
                                            element(2, H) =:= latin1
                                    end, Texts),
    Both = texts(Here) ++ peer:call(unicode_peer(), ?MODULE, texts, [There],
                                    ?WAIT),
    [Text || {_, Text} <- lists:sort(Both)].

texts(Items) ->
    [{N, text(How, T)} || {{format, How, T}, N} <- Items].

text({Control, _, Width, Column}, T) ->
    Before = lists:duplicate(Column - 1, $x),
    All = case lists:last(Control) of
              $p -> io_lib:format(Before ++ "~*" ++ Control, [Width, T]);
              $w -> io_lib:format(Before ++ "~" ++ Control, [T])
          end,
    string:slice(unicode:characters_to_binary(All), Column - 1).

%% One for each worker, which ends with it.
unicode_peer() ->
    case get(?FUNCTION_NAME) of
        undefined ->
            Here = filename:dirname(code:which(?MODULE)),
            {ok, Peer, _} =
                peer:start_link(#{connection => standard_io,
                                  args => ["+pc", "unicode", "-pa", Here]}),
            unicode = peer:call(Peer, io, printable_range, [], ?WAIT),
            put(?FUNCTION_NAME, Peer),
            Peer;
        Peer ->
            Peer
    end.

%% What etf_format says it does in its own way.
formats_otherwise(How, T) ->
    has(fun(X) -> formats_own(How, X) end, T).

formats_own(_, T) when is_map(T) ->
    map_size(T) > 1;
formats_own(_, T) when T =:= 'maybe'; T =:= 'else' ->
    otp() < 27;
formats_own(_, T) when is_function(T) ->
    not is_closure(T) orelse not is_plain(erlang:fun_info(T, module));
formats_own({"tp", latin1, _, _}, T) when is_binary(T) ->
    otp() < 29 andalso latin1_after_all(T);
formats_own(_, _) ->
    false.

%% Needs no quotes in any release.
is_plain({module, M}) ->
    re:run(atom_to_binary(M), "^[a-z]+$", [{capture, none}]) =:= match
        andalso not erl_scan:reserved_word(M)
        andalso not lists:member(M, ['maybe', 'else']).

latin1_after_all(B) ->
    case unicode:characters_to_list(B) of
        {_, Good, _} -> lists:any(fun(C) -> C > 255 end, Good);
        _ -> false
    end.

%% Where lines are broken: combining characters.
counts_otherwise({Control, _, Width, _}, Text) ->
    lists:last(Control) =:= $p andalso Width > 0 andalso
        string:length(Text) =/= length(unicode:characters_to_list(Text)).

%% ----------------------------------------------------------------- order

%% Each term beside one that is nearly it, and all of them sorted.
order_differs(Port, [{pair, _, _} | _] = Pairs) ->
    pairs_differ(Port, Pairs);
order_differs(Port, Terms) ->
    sort_differs(Port, Terms)
        ++ pairs_differ(Port, [{pair, T, term_gen:near(T)} || T <- Terms]).

pairs_differ(Port, Pairs) ->
    Items = [sized([ext(A), ext(B)]) || {pair, A, B} <- Pairs],
    differ(compare, Pairs, ask(Port, $o, 0, Items), fun same_order/2)
        ++ differ(compare_exact, Pairs, ask(Port, $o, 1, Items),
                  fun same_exact_order/2).

sized(Items) ->
    [[<<(byte_size(I)):32>>, I] || I <- Items].

same_order({pair, A, B}, Answer) ->
    Answer =:= {0, if A < B -> <<0>>; A == B -> <<1>>; true -> <<2>> end}
        orelse has_zero(A, B) andalso has(fun erlang:is_map/1, A)
        orelse has_own_order([A, B]).

%% Since OTP 26 maps as keys are in the order in which the node came to know
%% the atoms in them, which is another one on each node.
has_own_order(T) ->
    otp() >= 26 andalso has(fun has_map_key/1, T).

has_map_key(M) when is_map(M) -> has(fun erlang:is_map/1, maps:keys(M));
has_map_key(_) -> false.

%% Of 0.0 and -0.0, which are equal keys there, OTP 26 and earlier know no
%% order.
has_zero(A, B) ->
    otp() < 27 andalso has(fun(T) -> T =:= 0.0 orelse T =:= -0.0 end, [A, B]).

%% The order of the keys of a map. Later releases compare maps inside them in
%% their own way.
same_exact_order({pair, A, B}, {Status, <<Order>>}) ->
    Own = has(fun erlang:is_map/1, [A, B]) orelse has_zero(A, B),
    Status =:= 0 andalso (Own orelse Order =:= exact_order(A, B)).

exact_order(A, B) ->
    case erts_internal:cmp_term(A, B) of
        N when N < 0 -> 0;
        0 -> 1;
        _ -> 2
    end.

sort_differs(Port, Terms) ->
    Small = [T || T <- Terms, erlang:external_size(T) < 500],
    [{0, Places}] = ask(Port, $s, 0, [sized([ext(T) || T <- Small])]),
    Tuple = list_to_tuple(Small),
    Sorted = [element(P + 1, Tuple) || <<P:32>> <= Places],
    [{{pair, A, B}, sorted}
     || {A, B} <- lists:zip(lists:sort(Small), Sorted), A /= B,
        not has_zero(A, B), not has_own_order(Small)].

%% -------------------------------------------------------------------- ei

ei_differs(Port, All) ->
    Terms = [T || T <- All, not has(fun ei_lacks/1, T)],
    Bytes = [ext(T) || T <- Terms],
    Theirs = ask(ei_port(), $r, Bytes),
    Ours = ask(Port, $r, Bytes),
    [{T, {ei, A, ours, B}} || {T, A, B} <- lists:zip3(Terms, Theirs, Ours),
                              not as_ei(T, A, B)].

as_ei(_, Same, Same) ->
    true;
as_ei(T, {0, Bytes}, _) ->
    equal(T, Bytes) andalso has(fun ei_writes_otherwise/1, T);
as_ei(_, _, _) ->
    false.

%% One for each worker, which ends with it.
ei_port() ->
    case get(?FUNCTION_NAME) of
        undefined ->
            Port = term_codec:open("EI_PORT"),
            put(?FUNCTION_NAME, Port),
            Port;
        Port ->
            Port
    end.

%% Atoms are strings of C there.
ei_lacks(T) when is_atom(T) ->
    lists:member(0, atom_to_list(T));
ei_lacks(T) when is_function(T) ->
    lists:any(fun ei_lacks/1, [Name || Key <- [module, name],
                                       {_, Name} <- [erlang:fun_info(T, Key)],
                                       is_atom(Name)]);
ei_lacks(T) ->
    is_native_record(T).

%% What once was large for an integer, and small for a port.
ei_writes_otherwise(T) when is_integer(T) -> abs(T) >= 1 bsl 27;
ei_writes_otherwise(T) -> is_port(T) orelse is_closure(T).

%% ------------------------------------------------------------ compressed

%% The bytes may differ where the BEAM has another zlib; then not the length.
compressed_differ(Port, Terms) ->
    Bytes = [ext(T) || T <- Terms],
    lists:append([differ({compressed, Level}, Terms,
                         ask(Port, $z, Level, Bytes),
                         fun(T, A) -> same_compressed(T, Level, A) end)
                  || Level <- [0, 1, 6, 9]]
                 ++ [differ(open, Terms,
                            ask(Port, $u, [opens(T, 6) || T <- Terms]),
                            fun is_opened/2)]).

is_opened(T, Answer) ->
    Answer =:= {0, <<(ext(T))/binary, (byte_size(opens(T, 6))):32>>}.

%% What the BEAM has compressed.
opens(T, Level) ->
    term_to_binary(T, [{compressed, Level}, {minor_version, 2}]).

same_compressed(T, Level, {0, Bytes}) ->
    Options = [{compressed, Level}, {minor_version, 2}],
    Bytes =:= term_to_binary(T, Options)
        orelse byte_size(Bytes) =:= byte_size(term_to_binary(T, Options))
        andalso equal(T, strip(Bytes));
same_compressed(_, _, _) ->
    false.

%% Terms, and mutants of their bytes, in envelopes of which most are wrong. The
%% failing envelope and what is inside stand for the term.
envelopes_differ(Port, [{envelope, _, _} | _] = Envelopes) ->
    Inner = [I || {envelope, _, I} <- Envelopes],
    Outer = [O || {envelope, O, _} <- Envelopes],
    [{E, {beam, B, open, A}}
     || {E, O, C, A} <- zip4(Envelopes, Outer, ask(Port, $c, Inner),
                             ask(Port, $u, Outer)),
        {envelope, _, I} <- [E],
        not overread(I), not dangerous(I, C), not too_large(O),
        B <- [beam_opens(O)],
        not agree_opened(B, A), not on_purpose(B, I, C)];
envelopes_differ(Port, Terms) ->
    Inner = [maybe_mutant(ext(T)) || T <- Terms],
    envelopes_differ(Port, [{envelope, term_gen:envelope(I), I} || I <- Inner]).

maybe_mutant(B) when byte_size(B) > 5000 -> <<106>>;
maybe_mutant(B) ->
    case rand:uniform(2) of
        1 -> B;
        2 -> term_gen:mutant(B, B)
    end.

%% The BEAM takes that memory.
too_large(<<131, 80, Size:32, _/binary>>) -> Size > 1 bsl 24;
too_large(_) -> false.

beam_opens(Bytes) ->
    try binary_to_term(Bytes, [used]) of
        {T, Used} -> {ok, T, Used}
    catch error:badarg ->
            error
    end.

agree_opened(error, {Status, _}) ->
    Status =/= 0;
agree_opened({ok, T, Used}, {0, Answer}) ->
    N = byte_size(Answer) - 4,
    <<Bytes:N/binary, OurUsed:32>> = Answer,
    OurUsed =:= Used andalso equal(T, Bytes);
agree_opened(_, _) ->
    false.

%% ----------------------------------------------------------------- bytes

%% Mutants of the bytes of the terms; the failing mutant stands for its term.
bytes_differ(Port, [{mutant, _} | _] = Mutants) ->
    mutants_differ(Port, [B || {mutant, B} <- Mutants]);
bytes_differ(Port, Terms) ->
    Bytes = [B || T <- Terms, B <- [ext(T)], byte_size(B) < 5000],
    mutants_differ(Port, [term_gen:mutant(A, B)
                          || {A, B} <- lists:zip(Bytes, tl(Bytes)
                                                 ++ [hd(Bytes)])]).

mutants_differ(Port, Mutants) ->
    Checks = ask(Port, $c, Mutants),
    Backs = ask(Port, $r, Mutants),
    Normals = ask(Port, $n, 2, Mutants),
    [{{mutant, M}, {beam, B, check, C, back, R, normal, N}}
     || {M, C, R, N} <- zip4(Mutants, Checks, Backs, Normals),
        not overread(M), not dangerous(M, C),
        B <- [beam(M)],
        not (agree(B, M, C, R) andalso agree(B, M, C, N)),
        not on_purpose(B, M, C)].

%% Where the BEAM reads on behind the end: a reference of no words, of which it
%% reads one, and an old float whose text has no NUL.
overread(M) ->
    binary:match(M, [<<90, 0, 0>>, <<114, 0, 0>>]) =/= nomatch
        orelse re:run(M, "c[-+0-9.,eE]{31}", [{capture, none}]) =:= match.

%% What must not reach the BEAM, which may crash: where it reads on behind our
%% error, it may come to a tag for its own memory, with an address; and OTP 27
%% does not survive a function of more than 255 arguments.
dangerous(M, {Status, <<At:32, _/binary>>}) when Status =/= 0, At < byte_size(M) ->
    Place = binary:part(M, At, min(8, byte_size(M) - At)),
    Rest = binary:part(M, At, byte_size(M) - At),
    binary:first(Place) =:= 113
        orelse has_own_tag(Place)
        orelse has_own_tag(Rest) andalso
        lists:member(binary:first(Place), [67, 77, 90, 99, 112, 114]);
dangerous(_, _) ->
    false.

has_own_tag(Bytes) ->
    binary:match(Bytes, [<<T>> || T <- "HIJKLN"]) =/= nomatch.

beam(Bytes) ->
    try binary_to_term(<<131, Bytes/binary>>, [used]) of
        {T, Used} when Used =:= byte_size(Bytes) + 1 -> {ok, T};
        {_, Used} -> {trailing, Used - 1}
    catch error:badarg ->
            error
    end.

agree({ok, T}, _, {0, _}, {0, Back}) -> equal(T, Back);
agree({trailing, N}, _, {_, <<At:32, _/binary>>}, _) -> At =:= N;
agree(error, _, {Status, _}, _) -> Status =/= 0;
agree(_, _, _, _) -> false.

%% Where we differ from the BEAM and mean to.
on_purpose(Beam, M, {Status, At}) ->
    Tag = case At of
              <<N:32, _/binary>> when Status =/= 0, N < byte_size(M) ->
                  binary:at(M, N);
              _ ->
                  none
          end,
    Has = fun(Bytes) -> binary:match(M, Bytes) =/= nomatch end,
    %% Identifiers of its own it holds against what it has given out.
    Beam =:= error andalso Has(atom_to_binary(node()))
    %% Native records came with OTP 29.
        orelse otp() < 29 andalso Beam =:= error andalso Has(<<67, 0, 0>>)
    %% In OTP 25 a bitstring may be empty, the creator of a fun be any term, and
    %% 0.0 and -0.0 are the same key.
        orelse otp() < 26 andalso
        (Tag =:= 77 orelse Tag =:= 112
         orelse Beam =:= error andalso Has([<<70, 128, 0>>, <<99, "-0">>])).
