# SPDX-License-Identifier: Apache-2.0
#
# amalgamate.awk: the work of scripts/amalgamate. The arguments are the files
# in the order in which they go; `public` names those of etf.h. Everything is
# done on tokens: text[i] of kind[i], a letter:
#   i identifier   o operator, one character   s string, character or number
#   b blanks and comments, with the ends of lines   # in a directive: p is set
# Only awk that mawk has too.

function add(k, t) {
    text[++count] = t
    kind[count] = k
    directive[count] = in_directive
}

# The end of a comment that begins at p; 0 when it goes on in the next line.
function comment_end(line, p, e) {
    e = index(substr(line, p), "*/")
    return e ? p + e + 1 : 0
}

function tokens_of_line(line, p, e, c, rest) {
    p = 1
    if (!in_comment && !in_directive && line ~ /^[ \t]*#/)
        in_directive = 1
    while (p <= length(line)) {
        rest = substr(line, p)
        c = substr(rest, 1, 1)
        if (in_comment || substr(rest, 1, 2) == "/*") {
            e = comment_end(line, in_comment ? p : p + 2)
            in_comment = !e
            if (!e)
                e = length(line) + 1
            add("b", substr(line, p, e - p))
            p = e
            continue
        }
        if (match(rest, /^[ \t]+/))
            add("b", substr(rest, 1, RLENGTH))
        else if (match(rest, /^[A-Za-z_][A-Za-z_0-9]*/))
            add("i", substr(rest, 1, RLENGTH))
        else if (match(rest, /^[0-9.]*[0-9][A-Za-z_0-9.]*/))
            add("s", substr(rest, 1, RLENGTH))
        else if (match(rest, /^"([^"\\]|\\.)*"/) ||
                 match(rest, /^'([^'\\]|\\.)*'/))
            add("s", substr(rest, 1, RLENGTH))
        else if (substr(rest, 1, 2) == "##" || substr(rest, 1, 2) == "->") {
            RLENGTH = 2
            add("o", substr(rest, 1, 2))
        } else {
            RLENGTH = 1
            add("o", c)
        }
        p += RLENGTH
    }
    if (line !~ /\\$/)
        in_directive = 0
    add("b", "\n")
}

function read_file(file, line) {
    first[file] = count + 1
    in_comment = in_directive = 0
    while ((getline line < file) > 0)
        tokens_of_line(line)
    close(file)
    last[file] = count
}

# The next or the one before that is not blank; 0: none in this file.
function after(i, end) {
    for (i++; i <= end; i++)
        if (kind[i] != "b")
            return i
    return 0
}
function before(i, begin) {
    for (i--; i >= begin; i--)
        if (kind[i] != "b")
            return i
    return 0
}

# --- what each source declares for itself ------------------------------------

function own(file, name) {
    if (!((file, name) in owns)) {
        owns[file, name] = 1
        owned[file] = owned[file] " " name
    }
}

# Who uses a name, in words: files that have it as a token.
function note_use(file, name) {
    if (!((file, name) in uses)) {
        uses[file, name] = 1
        users[name]++
    }
}

# A name joined by ## cannot be renamed, nor what begins with it.
function note_paste(file, i, p) {
    p = before(i, first[file])
    if (p && kind[p] == "i")
        pasted[file] = pasted[file] " " text[p]
}

function is_pasted(file, name, n, i, list) {
    n = split(pasted[file], list, " ")
    for (i = 1; i <= n; i++)
        if (index(name, list[i]) == 1)
            return 1
    return 0
}

function new_statement() {
    head = word = tag = ""
    done = function_like = depth = parens = 0
}

# What a declaration outside of functions declares; each token comes by.
function declare(file, i, t, k, n) {
    if (k == "i" && depth == 0) {
        if (head == "")
            head = t
        if (t == "struct" || t == "union" || t == "enum")
            tag = t
        if (t == "__attribute__")
            done = 1
        word = t
        # typedef int (*name)(...)
        if (head == "typedef" && parens == 1 && !done) {
            n = before(i, first[file])
            if (text[n] == "*" && text[before(n, first[file])] == "(") {
                own(file, t)
                done = 1
            }
        }
        return
    }
    if (t == "{") {
        if (depth++ > 0)
            return
        in_function = function_like
        in_enum = tag == "enum" && !function_like
        if (tag != "" && !function_like) {
            if (word != tag)
                own(file, word)
            word = ""
        }
        return
    }
    if (t == "}") {
        if (--depth == 0) {
            if (in_function)
                new_statement()
            in_enum = in_function = 0
        }
        return
    }
    if (depth > 0) {
        n = before(i, first[file])
        if (in_enum && depth == 1 && k == "i" &&
            (text[n] == "{" || text[n] == ","))
            own(file, t)
        return
    }
    if (t == "(" && parens++ == 0) {
        if (head == "static" && !done && word != "" && text[after(i, \
            last[file])] != "*") {
            own(file, word)
            done = function_like = 1
        } else if (!done && head != "typedef")
            done = function_like = 1
    } else if (t == ")")
        parens--
    else if ((t == "=" || t == "[" || t == ";" || t == ",") && !parens) {
        if (!done && word != "" && (head == "static" || head == "typedef") &&
            word != head)
            own(file, word)
        done = t != ","
        if (t == ";")
            new_statement()
    }
}

function survey(file, i, k, is_source) {
    is_source = file ~ /\.c$/
    new_statement()
    in_enum = in_function = 0
    for (i = first[file]; i <= last[file]; i++) {
        k = kind[i]
        if (k == "b")
            continue
        if (k == "i")
            note_use(file, text[i])
        if (text[i] == "##")
            note_paste(file, i)
        if (directive[i]) {
            if (text[i] == "define")
                defines[file] = defines[file] " " text[after(i, last[file])]
        } else if (is_source)
            declare(file, i, text[i], k)
    }
}

# --- renaming ------------------------------------------------------------------

# Names with the prefix of a folder are the same for all files of it.
function plan(file, n, i, list, stem) {
    stem = file
    sub(/^.*\//, "", stem)
    sub(/\.c$/, "", stem)
    if (stem in stems)
        stem = stem "_"
    stems[stem] = 1
    n = split(owned[file], list, " ")
    for (i = 1; i <= n; i++)
        if (users[list[i]] > 1 && list[i] !~ /^(etf|ETF|cn|CN)_/ &&
            !is_pasted(file, list[i]))
            renamed[file, list[i]] = stem "__" list[i]
}

# Is this the declaration of a member? In the braces of a struct.
function is_member(file, i, n, p) {
    n = text[after(i, last[file])]
    p = text[before(i, first[file])]
    return n == ";" || n == "," || n == "[" || n == ":" ||
        (n == ")" && p == "*")
}

# Keeps track of braces: "s" of a struct, "x" others.
function brace(file, i, p) {
    if (text[i] == "{") {
        p = before(i, first[file])
        if (p && kind[p] == "i" && text[p] !~ /^(struct|union)$/)
            p = before(p, first[file])
        braces = (p && text[p] ~ /^(struct|union)$/ ? "s" : "x") braces
    } else
        braces = substr(braces, 2)
}

function renaming(file, i, p, t) {
    t = text[i]
    if (!((file, t) in renamed))
        return t
    p = text[before(i, first[file])]
    if (p == "." || p == "->")
        return t
    if (substr(braces, 1, 1) == "s" && is_member(file, i))
        return t
    return renamed[file, t]
}

# --- writing -------------------------------------------------------------------

# Code in the public headers may need functions that are not for the public.
function is_published(name, file) {
    for (file in is_public)
        if ((file, name) in uses)
            return 1
    return 0
}

# What begins here, at the left edge: a function that the files share?
function is_shared_function(file, i, t) {
    if (file in is_public || i > first[file] && text[i - 1] != "\n")
        return 0
    if (kind[i] != "i" ||
        text[i] ~ /^(static|typedef|struct|union|enum|extern|CN_API)$/)
        return 0
    for (; i <= last[file]; i++) {
        t = text[i]
        if (t == "(")
            break
        if (t == ";" || t == "=" || t == "{")
            return 0
    }
    t = text[before(i, first[file])]
    return t ~ /^(cn|etf)__/ && !is_published(t)
}

function is_own_include(file, i, n, name) {
    if (text[i] != "include" || !directive[i])
        return 0
    n = after(i, last[file])
    if (kind[n] == "s")
        return 1
    name = text[after(n, last[file])]
    return name == "base" || name == "ext_term"
}

function write_file(file, to, i, line, skip, n, list) {
    braces = ""
    line = ""
    for (i = first[file]; i <= last[file]; i++) {
        if (kind[i] == "i" && is_own_include(file, i))
            skip = 1
        if (!directive[i] && (text[i] == "{" || text[i] == "}"))
            brace(file, i)
        if (kind[i] == "i" && !directive[i] && is_shared_function(file, i))
            line = line "ETF__SHARED "
        line = line (kind[i] == "i" ? renaming(file, i) : text[i])
        if (text[i] == "\n") {
            if (!skip)
                printf "%s", line > to
            line = ""
            skip = 0
        }
    }
    if (file ~ /\.c$/) {
        n = split(defines[file], list, " ")
        for (i = 1; i <= n; i++)
            print "#undef " list[i] > to
    }
    print "" > to
}

function opening(to, name, what) {
    print "/* SPDX-License-Identifier: Apache-2.0\n *\n * " name ": " what \
        "\n * Made from the sources of libcnode by its scripts/amalgamate;" \
        "\n * change those.\n */" > to
}

BEGIN {
    n = split(public, list, " ")
    for (i = 1; i <= n; i++)
        is_public[list[i]] = 1
    for (a = 1; a < ARGC; a++)
        read_file(ARGV[a])
    for (a = 1; a < ARGC; a++)
        survey(ARGV[a])
    for (a = 1; a < ARGC; a++)
        if (ARGV[a] ~ /\.c$/)
            plan(ARGV[a])
    header = out "/etf.h"
    source = out "/etf.c"
    opening(header, "etf.h", "Erlang's external term format, all of its API.")
    opening(source, "etf.c", "Erlang's external term format; see etf.h.")
    print "#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif" > source
    print "#include \"etf.h\"\n" > source
    print "#ifdef __GNUC__" > source
    print "#define ETF__SHARED static __attribute__((unused))" > source
    print "#else\n#define ETF__SHARED static\n#endif\n" > source
    for (a = 1; a < ARGC; a++)
        write_file(ARGV[a], ARGV[a] in is_public ? header : source)
}
