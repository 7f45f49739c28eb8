# SPDX-License-Identifier: Apache-2.0
#
# What Elixir code does with a node in C, as with any other:
#
#   elixir --name me@127.0.0.1 --cookie COOKIE member.exs NODE KIND
#   elixir --name me@127.0.0.1 --cookie COOKIE member.exs readme SCALE TILL
#
# NODE is one of rpc_driver.c, and KIND says what it is: hidden, visible or
# full. It has a server `echo` that answers {:ok, request} and is a member of
# the group `echoes`, one named `gen`, and functions. SCALE and TILL, a hidden
# and a visible node, are those of README.md, where iex does the same.
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
      60_000 -> :nothing
    end
  end

  # What another node will have heard of soon.
  def await(what, expected, fun, tries \\ 1200) do
    if tries > 0 and fun.() != expected do
      Process.sleep(50)
      await(what, expected, fun, tries - 1)
    else
      check(what, expected, fun.())
    end
  end

  def connects(node, kind) do
    check("Node.ping", :pong, Node.ping(node))
    check("Node.connect", true, Node.connect(node))
    check("Node.list", kind != "hidden", node in Node.list())
    check("Node.list(:hidden)", kind == "hidden", node in Node.list(:hidden))
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

  def groups(node) do
    {:ok, _} = :pg.start_link()
    await(":pg.get_members", [node], fn ->
      Enum.map(:pg.get_members(:echoes), &:erlang.node/1)
    end)
    [pid] = :pg.get_members(:echoes)
    check(":pg.get_local_members", [], :pg.get_local_members(:echoes))
    send(pid, {self(), "to a member"})
    check("send to a member", {pid, "to a member"}, next())
    :ok = :pg.join({:guests, 1}, [self(), self()])
    await(":pg.join", [self(), self()], fn ->
      :erpc.call(node, :pg, :get_members, [{:guests, 1}])
    end)
    check(":pg.which_groups", [:echoes, {:guests, 1}],
      Enum.sort(:rpc.call(node, :pg, :which_groups, [])))
    :ok = :pg.leave({:guests, 1}, self())
    await(":pg.leave", [self()], fn ->
      :erpc.call(node, :pg, :get_members, [{:guests, 1}])
    end)
  end

  def names(node, "full") do
    check(":global.sync", :ok, :global.sync())
    pid = :global.whereis_name(:echo)
    check(":global.whereis_name", node, :erlang.node(pid))
    check("GenServer.call({:global, ...})", {:ok, 1},
      GenServer.call({:global, :echo}, 1))
    check(":global.send", pid, :global.send(:echo, {self(), "by name"}))
    check("what it answers", {pid, "by name"}, next())
    check("a name that is taken", :no, :global.register_name(:echo, self()))
    check(":global.register_name", :yes,
      :global.register_name({:guest, 1}, self()))
    check("the name there", self(),
      :erpc.call(node, :global, :whereis_name, [{:guest, 1}]))
    check(":global.registered_names", [:echo, {:guest, 1}],
      Enum.sort(:erpc.call(node, :global, :registered_names, [])))
    :global.unregister_name({:guest, 1})
    check(":global.unregister_name", :undefined,
      :erpc.call(node, :global, :whereis_name, [{:guest, 1}]))
    locks(node)
  end

  def names(node, "visible") do
    check(":global.sync", :ok, :global.sync())
    locks(node)
  end

  def names(_, "hidden") do
    check(":global.sync", :ok, :global.sync())
  end

  def locks(node) do
    lock = {:a_lock, self()}
    check(":global.set_lock", true, :global.set_lock(lock))
    check("a lock that is taken", false,
      :global.set_lock({:a_lock, :another}, [node], 0))
    check(":global.del_lock", true, :global.del_lock(lock))
    check(":global.trans", :done, :global.trans(lock, fn -> :done end))
  end

  # The lines of iex in README.md.
  def readme(scale, till) do
    check("Node.ping of README", :pong, Node.ping(scale))
    check("Node.ping of the visible one", :pong, Node.ping(till))
    check("Node.list of README", [scale], Node.list(:hidden))
    check(":erpc.call of README", 42, :erpc.call(till, :cnode, :add, [-1, 43]))
    check("GenServer.call of README", {:ok, {:price, "tea"}},
      GenServer.call({:echo, till}, {:price, "tea"}))
    ref = Process.monitor({:echo, till})
    Node.disconnect(till)
    check("receive of README", :noconnection,
      receive do {:DOWN, ^ref, _, _, why} -> why after 60_000 -> nil end)
  end

  def leaves(node) do
    Node.monitor(node, true)
    Node.disconnect(node)
    check("Node.monitor", {:nodedown, node}, next())
  end
end

case System.argv() do
  ["readme", scale, till] ->
    Member.readme(String.to_atom(scale), String.to_atom(till))

  [name, kind] ->
    node = String.to_atom(name)
    Member.connects(node, kind)
    Member.servers(node)
    Member.functions(node)
    Member.processes(node)
    Member.groups(node)
    Member.names(node, kind)
    Member.leaves(node)
end

IO.puts("all done")
