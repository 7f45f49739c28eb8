#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% term_corpus.escript DIR: writes the terms of the benchmark, each as
%% DIR/NAME.etf, as term_to_binary has it for peers of 26 and later.
-mode(compile).

main([Dir]) ->
    rand:seed(exsss, {7, 8, 9}),
    [ok = file:write_file(filename:join(Dir, Name ++ ".etf"),
                          term_to_binary(Term, [{minor_version, 2}]))
     || {Name, Term} <- corpus()],
    ok.

corpus() ->
    [{"rpc", rpc()},
     {"small_ints", [rand:uniform(20000) - 1000 || _ <- lists:seq(1, 10000)]},
     {"numbers", [number(N) || N <- lists:seq(1, 10000)]},
     {"map_1000", maps:from_list([{<<"key", (integer_to_binary(N))/binary>>,
                                   {N, value}} || N <- lists:seq(1, 1000)])},
     {"document", document(100 * 1024, [])},
     {"atoms", atoms()},
     {"deep", lists:foldl(fun(_, T) -> {T, 1} end, [],
                          lists:seq(1, 10000))},
     {"proplist", [{list_to_atom("option_" ++ integer_to_list(N rem 40)),
                    "the value number " ++ integer_to_list(N)}
                   || N <- lists:seq(1, 500)]},
     {"binary_1M", rand:bytes(1024 * 1024)}].

rpc() ->
    {'$gen_call', {self(), [alias | make_ref()]},
     {reserve, <<"order-20394">>, [{item, 17, 2}, {item, 18, 1}],
      #{currency => <<"EUR">>, amount => 129.95, express => true}}}.

number(N) ->
    case N rem 4 of
        0 -> rand:normal() * 1.0e6;
        1 -> rand:uniform(1 bsl 62) - (1 bsl 61);
        2 -> rand:uniform(1 bsl 200);
        3 -> rand:uniform(1000)
    end.

%% What a JSON decoder makes of a list of records.
document(Size, Acc) when Size =< 0 -> Acc;
document(Size, Acc) ->
    N = length(Acc),
    One = #{<<"id">> => N,
            <<"name">> => <<"customer ", (integer_to_binary(N))/binary>>,
            <<"active">> => N rem 3 =/= 0,
            <<"balance">> => rand:uniform() * 1000,
            <<"tags">> => [<<"new">>, <<"north">>, <<"b2b">>],
            <<"address">> => #{<<"street">> => <<"Long Road">>,
                               <<"number">> => rand:uniform(300),
                               <<"city">> => null}},
    document(Size - byte_size(term_to_binary(One, [{minor_version, 2}])),
             [One | Acc]).

atoms() ->
    Set = list_to_tuple([list_to_atom("atom_name_" ++ integer_to_list(N))
                         || N <- lists:seq(1, 100)]),
    [element(rand:uniform(100), Set) || _ <- lists:seq(1, 10000)].
