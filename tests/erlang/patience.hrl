%% SPDX-License-Identifier: Apache-2.0
%%
%% How many ms anything that has to come is waited for. It costs nothing where
%% it comes, so it is enough for a machine that is slow, and busy with others.
-define(WAIT, 60000).
