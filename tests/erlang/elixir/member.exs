# SPDX-License-Identifier: Apache-2.0
#
# What Elixir code does with a node in C, as with any other:
#
#   elixir --name me@127.0.0.1 --cookie COOKIE member.exs NODE
#
# NODE has a server `echo` that answers {:ok, request}, one named `gen`, and
# the functions of rpc_driver.c.
defmodule Member do
  def check(what, expected, value) do
    if expected == value do
      IO.puts("ok  #{what}")
    else
      IO.puts("not ok  #{what}: #{inspect(value)}, not #{inspect(expected)}")
      System.halt(1)
    end
  end

  # What fun returns, throws, or the reason it exits with.
  def outcome(fun) do
    fun.()
  catch
    :exit, {reason, _} -> reason
    _, value -> value
  end

  def next do
    receive do
      message -> message
    after
      10_000 -> :nothing
    end
  end

  def connects(node) do
    check("Node.ping", :pong, Node.ping(node))
    check("Node.connect", true, Node.connect(node))
    check("Node.list", true, node in Node.list(:hidden))
  end

  def servers(node) do
    check("GenServer.call", {:ok, %{a: 1}},
      GenServer.call({:echo, node}, %{a: 1}))
    check("GenServer.cast", :ok, GenServer.cast({:gen, node}, :hello))
    check("GenServer.multi_call", {[{node, {:ok, 1}}], []},
      GenServer.multi_call([node], :echo, 1))
    check(":sys.get_state", true, :hello in state({:gen, node}))
    check("a call that is refused", {:unknown, :nonsense},
      outcome(fn -> GenServer.call({:gen, node}, :nonsense, :infinity) end))
    check("a call to nobody", :noproc,
      outcome(fn -> GenServer.call({:nobody, node}, :x) end))
  end

  # On OTP 25 it comes as {:ok, state}.
  def state(server) do
    case :sys.get_state(server) do
      {:ok, state} -> state
      state -> state
    end
  end

  def functions(node) do
    check(":erpc.call", 3, :erpc.call(node, :c, :add, [1, 2]))
    check(":erpc.call with a fun", node, :erpc.call(node, &:erlang.node/0))
    check(":rpc.call", 3, :rpc.call(node, :c, :add, [1, 2]))
    check(":erpc.multicall", [{:ok, 3}],
      :erpc.multicall([node], :c, :add, [1, 2]))
    check("a throw", :ball,
      outcome(fn -> :erpc.call(node, :c, :raise, [:throw, :ball]) end))
  end

  def processes(node) do
    Process.flag(:trap_exit, true)
    pid = Node.spawn_link(node, :c, :raise, [:exit, :why])
    check("Node.spawn_link", {:EXIT, pid, :why}, next())
    {pid, ref} = Node.spawn_monitor(node, :c, :raise, [:exit, :why])
    check("Node.spawn_monitor", {:DOWN, ref, :process, pid, :why}, next())
    ref = Process.monitor({:nobody, node})
    check("Process.monitor", {:DOWN, ref, :process, {:nobody, node}, :noproc},
      next())
    send({:echo, node}, {self(), "text"})
    {from, body} = next()
    check("send", {node, "text"}, {:erlang.node(from), body})
  end

  def leaves(node) do
    Node.monitor(node, true)
    Node.disconnect(node)
    check("Node.monitor", {:nodedown, node}, next())
  end
end

[name] = System.argv()
node = String.to_atom(name)
Member.connects(node)
Member.servers(node)
Member.functions(node)
Member.processes(node)
# The place for :pg and :global, of nodes that are members of them.
Member.leaves(node)
IO.puts("all done")
