// SPDX-License-Identifier: Apache-2.0
//
// pattern.cc: etf_pack and etf_match in C++, with every type of argument.
// Compiled by scripts/check-install with what is installed.
#include <ext_term/ext_term.h>

#include <cstdio>
#include <cstring>

#define REQUIRE(what)                                                          \
    do {                                                                       \
        if (!(what))                                                           \
            return std::printf("line %d: not %s\n", __LINE__, #what), false;   \
    } while (0)

static const etf_pid pid = {1, 2, 3, 3, "a@b"};
static const etf_port port = {4, 5, 3, "a@b"};
static const etf_ref ref = {{7, 8}, 6, 2, 3, "a@b"};

static bool integers(etf_writer *w) {
    enum { FEW = 3 };
    signed char c;
    short s;
    int i;
    long l;
    long long ll;
    unsigned char uc;
    unsigned short us;
    unsigned u;
    unsigned long ul;
    unsigned long long ull;
    etf_view v;

    etf_writer_reset(w);
    REQUIRE(etf_pack(w, "{~i,~i,~i,~i,~i,~i,~i,~i,~i,~i,~i,~i,~i}",
                     (signed char)-1, (short)-2, -3, -4L, -5LL,
                     (unsigned char)201, (unsigned short)2, 3U, 4UL, ~0ULL,
                     true, 'a', FEW) == 0);
    REQUIRE(etf_writer_finish(w, &v) == 0);
    REQUIRE(etf_match(v, "{~i,~i,~i,~i,~i,~i,~i,~i,~i,~i,1,97,3}", &c, &s, &i,
                      &l, &ll, &uc, &us, &u, &ul, &ull) == 0);
    REQUIRE(c == -1 && s == -2 && i == -3 && l == -4 && ll == -5);
    REQUIRE(uc == 201 && us == 2 && u == 3 && ul == 4 && ull == ~0ULL);
    return true;
}

static bool others(etf_writer *w) {
    char text[] = "tea";
    etf_pid to = pid, from;
    etf_port o;
    etf_ref r;
    etf_list list;
    etf_view v, atom, binary, string, term;
    double d;
    float f = 1.5;

    etf_writer_reset(w);
    REQUIRE(etf_pack(w, "{~a,~b,~s,~t,~f,~f,~p,~p,~o,~r,[1,2]}", text, "x",
                     etf_view_of("yz", 2), etf_view_of("j", 1), 2.5, f, &pid,
                     &to, &port, &ref) == 0);
    REQUIRE(etf_writer_finish(w, &v) == 0);
    REQUIRE(etf_match(v, "{~a,~b,~s,~t,~f,1.5,P,~p,~o,~r,[1|~l]}", &atom,
                      &binary, &string, &term, &d, &from, &o, &r, &list) == 0);
    REQUIRE(etf_view_is(atom, "tea") && etf_view_is(binary, "x"));
    REQUIRE(etf_view_is(string, "yz") && etf_view_is(term, "j") && d == 2.5);
    REQUIRE(etf_pid_eq(&from, &pid) && etf_port_eq(&o, &port));
    REQUIRE(etf_ref_eq(&r, &ref) && list.n == 1);
    return true;
}

static bool slips(etf_writer *w) {
    etf_error e;
    etf_view v = etf_view_of("a\1", 2);
    int i;

    etf_writer_reset(w);
    REQUIRE(etf_pack_why(w, &e, "{a, ~i}", "1") == CN_EBADARG && e.at == 4);
    REQUIRE(etf_match(v, "~i", &v) == CN_EBADARG && etf_match(v, "1") == 0);
    REQUIRE(etf_match_why(v, &e, "{~i}", &i) == CN_ETYPE && e.at == 0);
    return true;
}

int main() {
    etf_writer w;
    bool good;

    etf_writer_init(&w, NULL);
    good = integers(&w) && others(&w) && slips(&w);
    etf_writer_free(&w);
    return good ? 0 : 1;
}
