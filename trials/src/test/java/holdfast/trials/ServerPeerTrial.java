package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import holdfast.trials.harness.Client;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.opentest4j.TestAbortedException;

/** {@code holdfast sshd} serves the programs that other people wrote and the world uses. */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class ServerPeerTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    @Test
    void commands_have_their_streams_their_status_and_their_signal(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Ended seven = stage.openSsh(sshd, "trial", "echo out; echo err >&2; exit 7").end(SOON);
        assertThat(seven.out()).isEqualTo("out\n");
        assertThat(seven.err()).isEqualTo("err\n");
        assertThat(seven.status()).isEqualTo(7);
        Ended killed = stage.openSsh(sshd, "-v", "trial", "kill -TERM $$").end(SOON);
        assertThat(killed.status()).isEqualTo(255);
        assertThat(killed.err()).contains("rtype exit-signal");
    }

    /** runuser, which holds the PAM session, makes 128 + n of a signal and has words for it. */
    @Test
    void a_signal_is_told_as_one_through_PAM_too(Stage stage) throws Exception {
        Stage.needsRoot("only root opens PAM sessions");
        Sshd sshd = stage.holdfastSshd("UsePAM yes");
        Ended killed = stage.openSsh(sshd, "-v", "trial", "echo err >&2; kill -TERM $$").end(SOON);
        assertThat(killed.status()).isEqualTo(255);
        assertThat(killed.err()).contains("rtype exit-signal").doesNotContain("Terminated");
        Ended said = stage.openSsh(sshd, "trial", "echo err >&2; exit 137").end(SOON);
        assertThat(said.status()).isEqualTo(137);
        assertThat(said.err()).isEqualTo("err\n");
    }

    @Test
    void a_hundred_megabytes_each_way_arrive_byte_for_byte(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        RandomBytes.thereAndBack(stage.openSsh(sshd, "trial", "cat"), 100_000_000);
    }

    @Test
    void sftp_does_all_that_its_batch_asks(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Path source = RandomBytes.file(stage, "source", 10_000_000);
        Path far = Files.createDirectories(stage.directory().resolve("far"));
        Path back = stage.directory().resolve("back");
        Path part = stage.directory().resolve("part");
        try (OutputStream out = Files.newOutputStream(part)) {
            out.write(Files.readAllBytes(source), 0, 3_000_000);
        }
        Ended ended =
                sftp(
                        stage,
                        sshd,
                        """
                        mkdir %1$s/dir
                        cd %1$s/dir
                        put %2$s one
                        chmod 640 one
                        ls -l one
                        rename one two
                        ln -s two link
                        get link %3$s
                        reget two %4$s
                        ls -1
                        rm link
                        mkdir gone
                        rmdir gone
                        df
                        """
                                .formatted(far, source, back, part));
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(ended.out()).contains("-rw-r-----").containsSubsequence("link\n", "two\n");
        assertThat(Files.mismatch(source, back)).isEqualTo(-1);
        assertThat(Files.mismatch(source, part)).isEqualTo(-1);
        assertThat(far.toFile().list()).containsExactly("dir");
        assertThat(far.resolve("dir").toFile().list()).containsExactly("two");
        assertThat(
                        PosixFilePermissions.toString(
                                Files.getPosixFilePermissions(far.resolve("dir/two"))))
                .isEqualTo("rw-r-----");
        Ended missing = sftp(stage, sshd, "get /nonexistent/file " + back + "\n");
        assertThat(missing.status()).isEqualTo(1);
        assertThat(missing.err()).contains("\"/nonexistent/file\" not found");
    }

    @Test
    void scp_copies_both_ways_in_both_its_protocols(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Path source = RandomBytes.file(stage, "source", 10_000_000);
        for (String protocol : new String[] {"-s", "-O"}) {
            Path there = stage.directory().resolve("there" + protocol);
            Path back = stage.directory().resolve("back" + protocol);
            good(scp(stage, sshd, protocol, source.toString(), "trial:" + there));
            good(scp(stage, sshd, protocol, "trial:" + there, back.toString()));
            assertThat(Files.mismatch(source, back)).isEqualTo(-1);
            Ended missing =
                    scp(stage, sshd, protocol, "trial:/nonexistent", stage.directory().toString());
            assertThat(missing.status()).isEqualTo(1);
            assertThat(missing.err()).contains("No such file or directory");
        }
    }

    @Test
    void rsync_copies_both_ways_and_again(Stage stage) throws Exception {
        Stage.needs("rsync");
        Sshd sshd = stage.holdfastSshd();
        Path source = Files.createDirectories(stage.directory().resolve("tree/deep"));
        for (int i = 0; i < 200; i++) {
            Files.writeString(source.resolve("file" + i), "content " + i + "\n");
        }
        Files.move(RandomBytes.file(stage, "big", 10_000_000), source.resolve("big"));
        String tree = stage.directory().resolve("tree") + "/";
        String there = stage.directory().resolve("there") + "/";
        String back = stage.directory().resolve("back") + "/";
        String ssh = String.join(" ", stage.openSsh(sshd).argv());
        good(stage.run("rsync", "-a", "-e", ssh, tree, "trial:" + there).end(SOON));
        good(stage.run("rsync", "-a", "-e", ssh, "trial:" + there, back).end(SOON));
        Ended same = stage.run("diff", "-r", tree, back).end(SOON);
        assertThat(same.status()).as(same.out()).isZero();
        Files.writeString(source.resolve("file7"), "changed\n");
        Ended again = stage.run("rsync", "-ai", "-e", ssh, tree, "trial:" + there).end(SOON);
        assertThat(again.out()).contains("deep/file7").doesNotContain("deep/file8", "big");
    }

    @Test
    void git_clones_and_pushes(Stage stage) throws Exception {
        Stage.needs("git");
        Sshd sshd = stage.holdfastSshd();
        Path bare = stage.directory().resolve("bare.git");
        Path work = stage.directory().resolve("work");
        Path clone = stage.directory().resolve("clone");
        git(stage, sshd, "init", "-q", "--bare", bare.toString());
        git(stage, sshd, "clone", "-q", "ssh://trial" + bare, work.toString());
        for (int i = 0; i < 30; i++) {
            Files.write(work.resolve("file" + i), new RandomBytes(i, 50_000).readNBytes(50_000));
        }
        String at = work.toString();
        git(stage, sshd, "-C", at, "add", ".");
        String[] by = {"-c", "user.name=Trial", "-c", "user.email=trial@example.invalid"};
        git(stage, sshd, "-C", at, by[0], by[1], by[2], by[3], "commit", "-q", "-m", "one");
        git(stage, sshd, "-C", at, "push", "-q", "origin", "HEAD:refs/heads/main");
        git(stage, sshd, "clone", "-q", "-b", "main", "trial:" + bare, clone.toString());
        for (int i = 0; i < 30; i++) {
            assertThat(Files.mismatch(work.resolve("file" + i), clone.resolve("file" + i)))
                    .isEqualTo(-1);
        }
    }

    @Test
    void sshfs_mounts_a_directory_writes_and_reads_in_it(Stage stage) throws Exception {
        Stage.needs("sshfs");
        if (!Files.isWritable(Path.of("/dev/fuse"))) {
            throw new TestAbortedException("no /dev/fuse here, so nothing can be mounted");
        }
        Sshd sshd = stage.holdfastSshd();
        Path far = Files.createDirectories(stage.directory().resolve("far"));
        Path near = Files.createDirectories(stage.directory().resolve("near"));
        Path source = RandomBytes.file(stage, "source", 5_000_000);
        Running sshfs =
                stage.run(
                                "sshfs",
                                "-f",
                                "-F",
                                sshd.config().toString(),
                                "trial:" + far,
                                near.toString())
                        .start();
        try {
            await(() -> Files.readString(Path.of("/proc/mounts")).contains(near.toString()));
            Files.copy(source, near.resolve("copy"));
            assertThat(Files.mismatch(source, far.resolve("copy"))).isEqualTo(-1);
            Files.writeString(far.resolve("other"), "from there\n");
            assertThat(Files.readString(near.resolve("other"))).isEqualTo("from there\n");
            Files.move(near.resolve("copy"), near.resolve("moved"));
            Files.createSymbolicLink(near.resolve("link"), Path.of("moved"));
            assertThat(Files.mismatch(source, near.resolve("link"))).isEqualTo(-1);
            Files.delete(near.resolve("moved"));
            assertThat(far.resolve("moved")).doesNotExist();
        } finally {
            stage.run("fusermount3", "-u", near.toString()).end(SOON);
        }
        assertThat(sshfs.end(SOON).status()).isZero();
    }

    @Test
    void ansible_pings_and_copies_with_and_without_a_shared_connection(Stage stage)
            throws Exception {
        Stage.needs("ansible");
        Sshd sshd = stage.holdfastSshd();
        Path inventory = stage.directory().resolve("inventory");
        Files.writeString(inventory, "trial ansible_python_interpreter=" + Python.PROGRAM + "\n");
        Path source = RandomBytes.file(stage, "source", 100_000);
        String shared = "-C -o ControlMaster=auto -o ControlPersist=1s -F " + sshd.config();
        String alone = "-C -o ControlMaster=no -o ControlPath=none -F " + sshd.config();
        Ended ping = ansible(stage, inventory, shared, "-m", "ping");
        assertThat(ping.status()).as("%s%s", ping.out(), ping.err()).isZero();
        assertThat(ping.out()).contains("\"ping\": \"pong\"");
        for (String how : new String[] {shared, alone}) {
            Path copied = stage.directory().resolve(how.equals(shared) ? "shared" : "alone");
            String what = "src=" + source + " dest=" + copied;
            Ended copy = ansible(stage, inventory, how, "-m", "copy", "-a", what);
            assertThat(copy.status()).as("%s%s", copy.out(), copy.err()).isZero();
            assertThat(Files.mismatch(source, copied)).isEqualTo(-1);
        }
    }

    @Test
    void a_client_that_promised_to_open_no_more_sessions_is_held_to_it(Stage stage)
            throws Exception {
        Python.needs("paramiko");
        Sshd sshd = stage.holdfastSshd();
        Ended ended =
                Python.script(
                                stage,
                                sshd,
                                Python.PARAMIKO
                                        + """
                                        c = connect()
                                        t = c.get_transport()
                                        assert c.exec_command("echo one")[1].read() == b"one\\n"
                                        t.global_request("no-more-sessions@openssh.com", wait=False)
                                        t.open_channel("direct-tcpip", (host, int(port)), (host, 1)).close()
                                        try:
                                            t.open_session(timeout=10)
                                            print("opened")
                                        except (paramiko.SSHException, EOFError):
                                            print("held to it")
                                        """)
                        .end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("held to it\n");
        sshd.awaitLog("additional sessions disabled");
    }

    @Test
    void paramiko_runs_commands_and_sftp_and_says_that_it_lives(Stage stage) throws Exception {
        Python.needs("paramiko");
        Sshd sshd = stage.holdfastSshd();
        Path far = stage.directory().resolve("far");
        Ended ended =
                Python.script(
                                stage,
                                sshd,
                                Python.PARAMIKO
                                        + """
                                        c = connect()
                                        import os, time
                                        [far] = rest
                                        c.get_transport().set_keepalive(1)
                                        i, o, e = c.exec_command("cat; echo err >&2; exit 9")
                                        data = os.urandom(3000000)
                                        import threading
                                        def feed():
                                            i.write(data); i.channel.shutdown_write()
                                        t = threading.Thread(target=feed); t.start()
                                        assert o.read() == data, "bytes"
                                        t.join()
                                        assert e.read() == b"err\\n", "stderr"
                                        assert o.channel.recv_exit_status() == 9, "status"
                                        s = c.open_sftp()
                                        with s.open(far, "wb") as f:
                                            f.set_pipelined(True); f.write(data)
                                        with s.open(far, "rb") as f:
                                            f.prefetch(); assert f.read() == data, "sftp bytes"
                                        assert s.stat(far).st_size == len(data)
                                        s.rename(far, far + "2"); s.chmod(far + "2", 0o600)
                                        assert far[far.rindex("/")+1:] + "2" in s.listdir(os.path.dirname(far))
                                        try:
                                            s.stat("/nonexistent"); raise SystemExit("found")
                                        except FileNotFoundError: pass
                                        s.remove(far + "2")
                                        time.sleep(2.5)
                                        i, o, e = c.exec_command("kill -KILL $$")
                                        assert o.channel.recv_exit_status() == -1, "signal"
                                        ch = c.invoke_shell(); ch.send("stty size; exit 4\\n")
                                        got = b""
                                        while True:
                                            b = ch.recv(1000)
                                            if not b: break
                                            got += b
                                        assert b"24 80" in got, got
                                        assert ch.recv_exit_status() == 4
                                        c.close()
                                        print("all well")
                                        """,
                                far.toString())
                        .end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("all well\n");
    }

    @Test
    void asyncssh_runs_commands_sftp_and_forwards(Stage stage) throws Exception {
        Python.needs("asyncssh");
        Sshd sshd = stage.holdfastSshd();
        Path work = Files.createDirectories(stage.directory().resolve("work"));
        Ended ended =
                Python.script(
                                stage,
                                sshd,
                                Python.ARGUMENTS
                                        + """
                                        import asyncio, asyncssh, os
                                        [work] = rest
                                        data = os.urandom(3000000)
                                        async def main():
                                            async with asyncssh.connect(host, int(port), username=user, client_keys=[key], known_hosts=known,
                                                                        config=None, agent_path=None, keepalive_interval=1) as c:
                                                r = await c.run("cat; echo err >&2; exit 9", input=data, encoding=None)
                                                assert (r.stdout, r.stderr[-4:], r.exit_status) == (data, b"err\\n", 9), "run"
                                                r = await c.run("kill -KILL $$")
                                                assert r.exit_signal[0] == "KILL", r.exit_signal
                                                p = await c.create_process("sleep 1000")
                                                p.terminate()
                                                await p.wait()
                                                assert p.exit_signal[0] == "TERM", p.exit_signal
                                                p = await c.create_process(term_type="xterm", term_size=(90, 20))
                                                p.stdin.write("stty size; exit 4\\n")
                                                out = await p.stdout.read()
                                                r = await p.wait()
                                                assert "20 90" in out and r.exit_status == 4, (out, r)
                                                results = await asyncio.gather(*[c.run(f"echo {i}") for i in range(9)])
                                                assert [r.stdout for r in results] == [f"{i}\\n" for i in range(9)]
                                                async with c.start_sftp_client() as s:
                                                    far = work + "/far"
                                                    async with s.open(far, "wb") as f: await f.write(data)
                                                    async with s.open(far, "rb") as f: assert await f.read() == data
                                                    await s.posix_rename(far, far + "2")
                                                    await s.link(far + "2", far + "3")
                                                    await s.symlink("far2", far + "4")
                                                    assert await s.readlink(far + "4") == "far2"
                                                    await s.setstat(far + "2", asyncssh.SFTPAttrs(permissions=0o600))
                                                    st = await s.stat(far + "2")
                                                    assert (st.size, st.permissions & 0o777, st.nlink or 2) == (len(data), 0o600, 2), st
                                                    assert (await s.statvfs(work)).bsize > 0
                                                    await s.copy(far + "2", work + "/whole")
                                                    await s.mkdir(work + "/dir")
                                                    await s.put([work + "/far2", work + "/far3"], work + "/dir")
                                                    assert sorted(await s.listdir(work + "/dir")) == [".", "..", "far2", "far3"]
                                                    await s.rmtree(work + "/dir")
                                                    try:
                                                        await s.stat("/nonexistent"); raise SystemExit("found")
                                                    except asyncssh.SFTPNoSuchFile: pass
                                                await asyncssh.scp(work + "/far2", (c, work + "/scped"))
                                                assert open(work + "/scped", "rb").read() == data
                                                async def echo(reader, writer):
                                                    writer.write(await reader.read()); writer.write_eof(); await writer.drain(); writer.close()
                                                server = await asyncio.start_server(echo, "127.0.0.1", 0)
                                                target = server.sockets[0].getsockname()[1]
                                                async def through(reader, writer):
                                                    writer.write(data); writer.write_eof()
                                                    assert await reader.read() == data, "forwarded"
                                                    writer.close()
                                                await through(*await c.open_connection("127.0.0.1", target))
                                                l = await c.forward_local_port("127.0.0.1", 0, "127.0.0.1", target)
                                                await through(*await asyncio.open_connection("127.0.0.1", l.get_port()))
                                                r = await c.forward_remote_port("127.0.0.1", 0, "127.0.0.1", target)
                                                await through(*await asyncio.open_connection("127.0.0.1", r.get_port()))
                                                r.close(); await r.wait_closed()
                                                d = await c.forward_socks("127.0.0.1", 0)
                                                u = await asyncio.start_unix_server(echo, work + "/u")
                                                await through(*await c.open_unix_connection(work + "/u"))
                                                w = await c.forward_remote_path(work + "/w", work + "/u")
                                                await through(*await asyncio.open_unix_connection(work + "/w"))
                                                await asyncio.sleep(2.5)
                                                assert (await c.run("echo still here", check=True)).stdout == "still here\\n"
                                            print("all well")
                                        asyncio.run(main())
                                        """,
                                work.toString())
                        .end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("all well\n");
    }

    @Test
    void curl_copies_by_sftp_and_by_scp_with_libssh2(Stage stage) throws Exception {
        Stage.needs("curl");
        if (!stage.run("curl", "-V").end(SOON).out().contains("libssh2")) {
            throw new TestAbortedException("this curl is made without libssh2");
        }
        Sshd sshd = stage.holdfastSshd();
        Path source = RandomBytes.file(stage, "source", 3_000_000);
        for (String protocol : new String[] {"sftp", "scp"}) {
            Path far = stage.directory().resolve("far-" + protocol);
            Path back = stage.directory().resolve("back-" + protocol);
            String url = protocol + "://127.0.0.1:" + sshd.port();
            good(curl(stage, sshd, "-T", source.toString(), url + far));
            assertThat(Files.mismatch(source, far)).isEqualTo(-1);
            good(curl(stage, sshd, "-o", back.toString(), url + far));
            assertThat(Files.mismatch(source, back)).isEqualTo(-1);
            assertThat(curl(stage, sshd, url + "/nonexistent/file").status()).isEqualTo(78);
        }
        String url = "sftp://127.0.0.1:" + sshd.port() + stage.directory() + "/";
        String from = stage.directory().resolve("far-sftp").toString();
        Path piece = stage.directory().resolve("piece");
        Ended asked =
                curl(
                        stage,
                        sshd,
                        "-Q",
                        "rename " + from + " " + from + "2",
                        "-Q",
                        "chmod 600 " + from + "2",
                        "-r",
                        "100-199",
                        "-o",
                        piece.toString(),
                        url + "far-sftp2");
        good(asked);
        assertThat(Files.readAllBytes(piece))
                .isEqualTo(Arrays.copyOfRange(Files.readAllBytes(source), 100, 200));
        Ended listed = curl(stage, sshd, url);
        good(listed);
        assertThat(listed.out()).containsPattern("-rw------- .* 3000000 .* far-sftp2");
    }

    /** Its libssh2 finds the kind of key by the server's first choice, and knows its print. */
    private static Ended curl(Stage stage, Sshd sshd, String... words) throws Exception {
        Path key = Keys.of("ed25519", "user");
        Path known = Files.createDirectories(stage.directory().resolve("home/.ssh"));
        Files.copy(
                sshd.knownHosts(),
                known.resolve("known_hosts"),
                StandardCopyOption.REPLACE_EXISTING);
        List<String> argv = new ArrayList<>(List.of("curl", "-sS", "--noproxy", "*", "--key"));
        argv.addAll(List.of(key.toString(), "--pubkey", key + ".pub", "-u", Sshd.user() + ":"));
        argv.addAll(List.of(words));
        return stage.run(argv.toArray(String[]::new)).end(SOON);
    }

    @Test
    void lftp_puts_mirrors_and_gets_in_pieces(Stage stage) throws Exception {
        Stage.needs("lftp");
        Sshd sshd = stage.holdfastSshd();
        Path source = RandomBytes.file(stage, "source", 3_000_000);
        Path far = stage.directory().resolve("far");
        Path back = stage.directory().resolve("back");
        String ssh = String.join(" ", stage.openSsh(sshd).argv());
        good(
                Lftp.over(
                                stage,
                                ssh,
                                """
                                mkdir -p %s/deep
                                put %s -o %s/deep/one
                                mirror -P 3 %s %s
                                pget -n 4 %s/deep/one -o %s/again
                                rm -r %s
                                """
                                        .formatted(far, source, far, far, back, far, back, far))
                        .end(SOON));
        assertThat(Files.mismatch(source, back.resolve("deep/one"))).isEqualTo(-1);
        assertThat(Files.mismatch(source, back.resolve("again"))).isEqualTo(-1);
        assertThat(far).doesNotExist();
    }

    @Test
    void mosh_starts_its_server(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Mosh.runsOver(stage, String.join(" ", stage.openSsh(sshd).argv()));
    }

    @Test
    void plink_runs_a_command_and_has_its_status(Stage stage) throws Exception {
        Stage.needs("plink");
        Stage.needs("puttygen");
        Sshd sshd = stage.holdfastSshd();
        String key = stage.directory().resolve("key.ppk").toString();
        String from = Keys.of("ed25519", "user").toString();
        good(stage.run("puttygen", from, "-O", "private", "-o", key).end(SOON));
        List<String> argv = new ArrayList<>(List.of("plink", "-batch", "-ssh", "-i", key));
        for (String type : Keys.TYPES) {
            String public_ = Keys.of(type, "host") + ".pub";
            String print = stage.run("ssh-keygen", "-l", "-f", public_).end(SOON).out();
            argv.addAll(List.of("-hostkey", print.split(" ", -1)[1]));
        }
        argv.addAll(List.of("-P", Integer.toString(sshd.port()), Sshd.user() + "@127.0.0.1"));
        argv.add("cat; echo err >&2; exit 6");
        Ended ended = stage.run(argv.toArray(String[]::new)).input("through plink\n").end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("through plink\n");
        assertThat(ended.err()).endsWith("err\n");
        assertThat(ended.status()).isEqualTo(6);
    }

    @Test
    void dbclient_runs_a_command_and_has_its_status(Stage stage) throws Exception {
        Stage.needs("dbclient");
        Stage.needs("dropbearconvert");
        Sshd sshd = stage.holdfastSshd();
        String key = stage.directory().resolve("key.db").toString();
        String from = Keys.of("ed25519", "user").toString();
        good(stage.run("dropbearconvert", "openssh", "dropbear", from, key).end(SOON));
        Ended ended =
                stage.run(
                                "dbclient",
                                "-y",
                                "-y",
                                "-i",
                                key,
                                "-p",
                                Integer.toString(sshd.port()),
                                Sshd.user() + "@127.0.0.1",
                                "cat; echo err >&2; exit 6")
                        .input("through dbclient\n")
                        .end(SOON);
        assertThat(ended.out()).as(ended.err()).isEqualTo("through dbclient\n");
        assertThat(ended.err()).contains("err\n");
        assertThat(ended.status()).isEqualTo(6);
    }

    @Test
    void a_shell_in_a_real_terminal_knows_its_size_and_its_keys(Stage stage) throws Exception {
        Sshd sshd = stage.holdfastSshd();
        Terminal terminal = stage.terminal(80, 24);
        String ssh = String.join(" ", stage.openSsh(sshd).argv());
        Terminal.Foreground shell = terminal.begin(ssh + " trial");
        // The login shell's own prompt is the machine's affair.
        await(() -> !sshd.sessions().isEmpty());
        terminal.line("exec env ENV= PS1='far''> ' /bin/sh -i");
        // Blanks at the end of a line are not to be seen.
        terminal.await("\nfar>", SOON);
        terminal.line("stty size");
        terminal.await("24 80", SOON);
        terminal.resize(100, 30);
        terminal.line("until stty size | grep 100; do sleep 0.1; done");
        terminal.await("30 100", SOON);
        terminal.line("echo begun; sleep 1000; echo not'' reached");
        terminal.await("\nbegun", SOON);
        terminal.key("C-c");
        // The signal throws away what is typed before the shell asks again, on any terminal.
        await(() -> terminal.screen().endsWith("\nfar>"));
        terminal.line("echo $((1 + 41))");
        terminal.await("\n42", SOON);
        assertThat(terminal.screen()).contains("^C").doesNotContain("not reached");
        terminal.line("exit 5");
        assertThat(shell.end(SOON)).isEqualTo(5);
        assertThat(terminal.screen()).contains("Connection to 127.0.0.1 closed.");
    }

    @Test
    void forwards_of_every_kind_carry_what_they_are_given(Stage stage) throws Exception {
        Stage.needs("curl");
        Sshd sshd = stage.holdfastSshd();
        byte[] page = new RandomBytes(7, 5_000_000).readNBytes(5_000_000);
        HttpServer web =
                HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 50);
        web.createContext(
                "/",
                exchange -> {
                    exchange.sendResponseHeaders(200, page.length);
                    exchange.getResponseBody().write(page);
                    exchange.close();
                });
        web.start();
        try {
            int target = web.getAddress().getPort();
            int local = Sshd.freePort();
            int remote = Sshd.freePort();
            int socks = Sshd.freePort();
            Path localSocket = stage.directory().resolve("l.sock");
            Path remoteSocket = stage.directory().resolve("r.sock");
            Running client =
                    stage.openSsh(
                                    sshd,
                                    "-o",
                                    "ExitOnForwardFailure=yes",
                                    "-L",
                                    local + ":localhost:" + target,
                                    "-R",
                                    remote + ":127.0.0.1:" + target,
                                    "-D",
                                    Integer.toString(socks),
                                    "-L",
                                    localSocket + ":127.0.0.1:" + target,
                                    "-R",
                                    remoteSocket + ":127.0.0.1:" + target,
                                    "trial",
                                    "echo ready; cat")
                            .inputOpen()
                            .start();
            client.out().await("ready", SOON);
            String at = "http://127.0.0.1:";
            List<List<String>> ways =
                    List.of(
                            List.of(at + local),
                            List.of(at + remote),
                            List.of("-x", "socks5h://127.0.0.1:" + socks, at + target),
                            List.of("-x", "socks4://127.0.0.1:" + socks, at + target),
                            List.of("--unix-socket", localSocket.toString(), "http://x"),
                            List.of("--unix-socket", remoteSocket.toString(), "http://x"));
            for (List<String> way : ways) {
                List<String> argv = new ArrayList<>(List.of("curl", "-sS", "--noproxy", ""));
                argv.addAll(way);
                ByteArrayOutputStream got = new ByteArrayOutputStream();
                Ended ended = stage.run(argv.toArray(String[]::new)).outTo(got).end(SOON);
                assertThat(ended.status()).as("%s: %s", way, ended.err()).isZero();
                assertThat(got.toByteArray()).as("%s", way).isEqualTo(page);
            }
            Running netcat =
                    stage.openSsh(sshd, "-W", "127.0.0.1:" + target, "trial")
                            .input("GET / HTTP/1.0\r\n\r\n")
                            .outTo(OutputStream.nullOutputStream())
                            .start();
            assertThat(netcat.end(SOON).status()).isZero();
            client.stdin().close();
            assertThat(client.end(SOON).status()).isZero();
            await(() -> !Files.exists(remoteSocket));
        } finally {
            web.stop(0);
        }
    }

    @Test
    void the_agent_at_home_is_asked_from_afar(Stage stage) throws Exception {
        Stage.needs("ssh-agent");
        Sshd sshd = stage.holdfastSshd();
        Path key = Keys.of("ed25519", "user");
        String socket = stage.directory().resolve("agent").toString();
        Running agent = stage.run("ssh-agent", "-D", "-a", socket).start();
        try {
            await(() -> Files.exists(Path.of(socket)));
            good(stage.run("ssh-add", "-q", key.toString()).env("SSH_AUTH_SOCK", socket).end(SOON));
            Ended ended =
                    stage.openSsh(
                                    sshd,
                                    "-A",
                                    "-o",
                                    "IdentityAgent=SSH_AUTH_SOCK",
                                    "trial",
                                    "ssh-add -L; ls -l $SSH_AUTH_SOCK; echo $SSH_AUTH_SOCK")
                            .env("SSH_AUTH_SOCK", socket)
                            .end(SOON);
            assertThat(ended.out())
                    .as(ended.err())
                    .startsWith(Keys.publicLine(key))
                    .contains("\nsrw");
            Path far = Path.of(ended.out().lines().toList().getLast());
            assertThat(far).isNotEqualTo(Path.of(socket));
            await(() -> !Files.exists(far) && !Files.exists(far.getParent()));
        } finally {
            agent.signal("TERM");
            agent.end(SOON);
        }
        Ended without = stage.openSsh(sshd, "trial", "echo \"${SSH_AUTH_SOCK-none}\"").end(SOON);
        assertThat(without.out()).isEqualTo("none\n");
    }

    private static void good(Ended ended) {
        assertThat(ended.status()).as("%s%s", ended.err(), ended.out()).isZero();
    }

    private static Ended sftp(Stage stage, Sshd sshd, String batch) throws InterruptedException {
        return stage.run("sftp", "-F", sshd.config().toString(), "-q", "-b", "-", "trial")
                .input(batch)
                .end(SOON);
    }

    private static Ended scp(Stage stage, Sshd sshd, String protocol, String from, String to)
            throws InterruptedException {
        return stage.run("scp", protocol, "-q", "-F", sshd.config().toString(), from, to).end(SOON);
    }

    private static void git(Stage stage, Sshd sshd, String... words) throws InterruptedException {
        List<String> argv = new ArrayList<>(List.of("git"));
        argv.addAll(List.of(words));
        good(
                stage.run(argv.toArray(String[]::new))
                        .env("GIT_SSH_COMMAND", String.join(" ", stage.openSsh(sshd).argv()))
                        .env("GIT_CONFIG_NOSYSTEM", "1")
                        .env("GIT_TERMINAL_PROMPT", "0")
                        .end(SOON));
    }

    private static Ended ansible(Stage stage, Path inventory, String how, String... rest)
            throws InterruptedException {
        List<String> argv =
                new ArrayList<>(List.of("ansible", "-i", inventory.toString(), "trial", "-e"));
        argv.add("ansible_ssh_executable=" + Client.reference().argv().getFirst());
        argv.addAll(List.of(rest));
        return stage.run(argv.toArray(String[]::new))
                .env("ANSIBLE_SSH_ARGS", how)
                .env("ANSIBLE_HOME", stage.directory().resolve("ansible").toString())
                .env("ANSIBLE_LOCAL_TEMP", stage.directory().resolve("ansible-tmp").toString())
                .env("ANSIBLE_REMOTE_TEMP", stage.directory().resolve("ansible-remote").toString())
                .env("ANSIBLE_SSH_CONTROL_PATH_DIR", stage.directory().resolve("cp").toString())
                // Its ConnectTimeout; ten seconds are not always enough here.
                .env("ANSIBLE_TIMEOUT", "60")
                .env("ANSIBLE_NOCOLOR", "1")
                .in(stage.directory())
                .end(SOON);
    }

    private static void await(Eventually.Condition condition) throws Exception {
        Eventually.holds(SOON, condition, () -> "it does not come true");
    }
}
