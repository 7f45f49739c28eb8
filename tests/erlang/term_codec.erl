%% SPDX-License-Identifier: Apache-2.0
%%
%% A codec as a port, asked for many terms at once: the program $TERM_PORT
%% (term_port.c) is that of libcnode, $EI_PORT (ei_port.c) Erlang's own in C.
-module(term_codec).

-export([open/0, open/1, close/1, ask/3, ask/4]).

open() ->
    open("TERM_PORT").

open(Variable) ->
    Program = os:getenv(Variable),
    is_list(Program) orelse error({not_set, Variable}),
    open_port({spawn_executable, Program}, [{packet, 4}, binary, exit_status]).

%% Lets it end by itself, so that what a sanitizer finds is not lost.
close(Port) ->
    port_command(Port, <<"q", 0:32>>),
    receive
        {Port, {exit_status, 0}} -> ok;
        {Port, {exit_status, S}} -> error({term_port, exit_status, S})
    end.

%% One {Status, Bytes} for each item: status 0, or that of the error without
%% its sign.
ask(Port, Op, Items) ->
    ask(Port, Op, 0, Items).

ask(Port, Op, Arg, Items) ->
    port_command(Port, [<<Op, Arg:32>>, [[<<(iolist_size(I)):32>>, I]
                                         || I <- Items]]),
    receive
        {Port, {data, Answer}} -> answers(Answer);
        {Port, {exit_status, S}} -> error({term_port, Op, Arg, S})
    end.

answers(<<Status, N:32, Bytes:N/binary, Rest/binary>>) ->
    [{Status, Bytes} | answers(Rest)];
answers(<<>>) ->
    [].
