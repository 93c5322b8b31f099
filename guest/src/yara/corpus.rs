//! Generated rules, judged by libyara: what it refuses is no indicator, and what it takes is no note.

use super::{Error, cut};

/// Numbers that look random and are the same on every run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// Values of strings, with modifiers.
fn strings() -> Vec<String> {
    let alternatives = |count: usize| ["ab"; 1].repeat(count).join("|");
    let hex_alternatives = |count: usize| ["01"; 1].repeat(count).join(" | ");
    let mut strings: Vec<String> = [
        r#""text""#, r#""text" wide ascii nocase"#, r#""text" fullword private"#, r#""text" xor"#,
        r#""text" xor(1-255) wide"#, r#""text" xor nocase"#, r#""text" base64"#, r#""text" base64 base64wide"#,
        r#""text" base64 nocase"#, r#""text" base64wide fullword"#, r#""text" base64 xor"#, r#""text" wide wide"#,
        r#""""#, r#""\x00\xff\t""#, r#""a\"b\\c""#, r#""é""#,
        r#""text" base64("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!?")"#,
        r#""text" base64("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!?") base64wide"#,
        r#""text" base64("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!?") base64wide("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!?")"#,
        "{ 01 02 03 }", "{ 01 ?? 0? ?3 04 }", "{ 01 [2-4] 03 }", "{ 01 [0-300] 03 }", "{ 01 [-] 03 }", "{ 01 [5-] 03 }",
        "{ 01 ( 02 | 03 [0-200] 04 ) 05 }", "{ 01 ( 02 | 03 [0-201] 04 ) 05 }", "{ 01 ( 02 [3-] 04 | 05 ) 06 }",
        "{ 01 ( 02 [-] 04 | 05 ) 06 }", "{ 01 [0] 02 }", "{ 01 [1] 02 }", "{ 01 [-3] 02 }", "{ 01 [0-2147483647] 02 }",
        "{ 01 [0-2147483648] 02 }", "{ 01 [0x10] 02 }", "{ 01 [1-0x10] 02 }", "{ 01 ~02 ~?3 04 }", "{ 01 02 } private",
        "{ 01 // comment\n 02 /* another */ 03 }", "{ 01 ( 02 | ( 03 | 04 ) 05 ) }",
        r"/text/", r"/text/i", r"/text/s", r"/text/is", r"/text/si", r"/te.t{2,3}/ wide", r"/te(x|y)t/ nocase",
        r"/te(?:x)t/", r"/te()xt/", r"/te(x|)t/", r"/te(|x)t/", r"/text|/", r"/te{2}{3}xt/", r"/text.*end/",
        r"/text.*?end/", r"/text.*?end.*/", r"/text+?end{2}/", r"/te\xt/", r"/te\x41t/", r"/te\1t/", r"/te\/xt/",
        r"/te[a-z]xt/", r"/te[z-a]xt/", r"/te[é]xt/", r"/texé/", r"/te[^\]]xt/", r"/te[]]xt/", r"/te[\w-]xt/",
        r"/te[\d-a]xt/", r"/^text$/", r"/te\bxt/", r"/te\b+xt/", r"/te^+xt/", r"/text{32767}/", r"/text{32768}/",
        r"/te{,}xt/", r"/te{a}xt/", r"/te{3,2}xt/", r"/te(a(b(c)d)e)xt/", r"/te[[:alpha:]]xt/", r"/text/ fullword",
        r"/te\.xt\?/", r"/te(x{1,3}y*)+t/", r"/https?:\/\/[\w\.\/]+/", r"/[A-Za-z0-9+\/]{40,}={0,2}/",
    ]
    .map(str::to_owned)
    .to_vec();
    for count in [2, 100, 128, 129, 130, 150] {
        strings.push(format!("/x({})y/", alternatives(count)));
        strings.push(format!("{{ 00 ( {} ) 02 }}", hex_alternatives(count)));
        strings.push(format!("/x{}/", "(ab)?".repeat(count)));
        strings.push(format!("/x{}/", "(ab){2,4}".repeat(count / 2)));
    }
    strings
}

/// Conditions that need no string.
const CONDITIONS: &[&str] = &[
    "true",
    "filesize < 10MB",
    "filesize > 1KB and filesize < 2MB",
    "not filesize == 0",
    "entrypoint == 0x1000",
    "uint16(0) == 0x5A4D",
    "uint32be(uint32(0x3C)) == 0x50450000",
    "int8(0) == -1",
    "uint16() == 1",
    "uint16(\"a\") == 1",
    "uint64(0) == 1",
    "float32(0) == 1.0",
    "1 + 2 == 3",
    "1.5 + 2 > 3",
    "\"a\" == \"b\"",
    "\"a\" + \"b\" == \"ab\"",
    "\"a\" < \"b\"",
    "\"a\" == 1",
    "1 == 1.0",
    "filesize \\ 2 == 1",
    "filesize \\ 0 == 1",
    "filesize % 0 == 1",
    "filesize \\ (1 - 1) == 1",
    "filesize % 3 == 1",
    "1.5 % 2 == 1",
    "filesize & 3 == 1",
    "1.5 & 3 == 1",
    "filesize << 2 == 4",
    "filesize << -1 == 4",
    "filesize >> 70 == 0",
    "~filesize == 1",
    "~1.5 == 1",
    "9223372036854775807 + 1 == 0",
    "-9223372036854775807 - 2 == 0",
    "4611686018427387904 * 2 == 0",
    "\"abc\" contains \"a\"",
    "\"abc\" icontains 1",
    "\"abc\" matches /a/",
    "\"abc\" matches \"a\"",
    "1 matches /a/",
    "\"abc\" startswith \"a\" and \"abc\" iendswith \"C\" and \"abc\" iequals \"ABC\"",
    "defined pe.entry_point",
    "helper",
    "not helper and other",
    "helper == true",
    "helper == 1",
    "any of (helper, other)",
    "all of (helper)",
    "2 of (helper, other)",
    "50% of (helper, other)",
    "any of (helper, pe)",
    "any of (true)",
    "none of (helper)",
    "unknown_name",
    "new_file",
    "pe.is_pe",
    "pe.is_pe == 1",
    "pe",
    "pe.sections",
    "pe.machine == pe.MACHINE_AMD64",
    "pe.machine == pe.MACHINE_ARM64EC",
    "pe.number_of_sections > 3",
    "pe.sections[0].name == \".text\"",
    "pe.sections[0].name.len() > 3",
    "pe.sections[\"a\"].name == \".text\"",
    "pe.sections.name == \"a\"",
    "pe.sections[pe.section_index(\".text\")].raw_data_size > 0",
    "pe.imports(\"kernel32.dll\", \"CreateFileA\")",
    "pe.imports(\"kernel32.dll\")",
    "pe.imports(/kernel/i, /Create/)",
    "pe.imports(pe.IMPORT_ANY, \"kernel32.dll\") > 1",
    "pe.imports(1.5)",
    "pe.imports",
    "pe.imphash() == \"a\"",
    "pe.imphash",
    "pe.exports(\"a\") or pe.exports(/a/)",
    "pe.exports_index(1) == 0",
    "pe.version_info[\"CompanyName\"] contains \"Micro\"",
    "pe.version_info[1] == \"a\"",
    "pe.version_info.CompanyName == \"a\"",
    "pe.rich_signature.toolid(259)",
    "pe.rich_signature.tools[0].toolid == 1",
    "pe.signatures[0].issuer contains \"a\"",
    "pe.signatures[0].valid_on(1600000000)",
    "pe.is_signed",
    "pe.signatures[0].signer_info.chain[0].subject == \"a\"",
    "pe.dll_name.len() > 40",
    "pe.dll_name == \"a\"",
    "pe.resources[0].type == pe.RESOURCE_TYPE_ICON",
    "pe.calculate_checksum() != pe.checksum",
    "pe.is_dll()",
    "pe.is_dll",
    "pe.linker_version.major == 6",
    "pe.data_directories[pe.IMAGE_DIRECTORY_ENTRY_IMPORT].size > 0",
    "pe.import_details[0].functions[0].name == \"a\"",
    "pe.delayed_import_rva(\"a\", \"b\") > 0",
    "elf.type == elf.ET_EXEC",
    "elf.osabi == elf.OSABI_FREE_BSD",
    "elf.number_of_sections == 0",
    "elf.telfhash() == \"a\"",
    "elf.import_md5() == \"a\"",
    "elf.symtab[0].name == \"a\"",
    "elf.symtab[0].visibility == 1",
    "elf.dynsym_entries > 1",
    "math.entropy(0, filesize) > 7.0",
    "math.entropy(0, filesize) >= 7",
    "math.entropy(\"abc\") > 1.0",
    "math.max(1, 2) == 2",
    "math.max(1.0, 2) == 2",
    "math.in_range(math.mean(0, 10), 1.0, 2.0)",
    "math.in_range(1, 2, 3)",
    "math.abs(-1) == 1",
    "math.count(0x4A) > 3",
    "math.percentage(0x4A, 0, 10) > 0.5",
    "math.mode() == 0",
    "math.to_string(12) == \"12\"",
    "math.to_string(12, 16) == \"c\"",
    "math.to_number(true) == 1",
    "math.to_number(filesize > 3) == 1",
    "math.to_number(1) == 1",
    "math.MEAN_BYTES > 1.0",
    "math.log(2) == 1.0",
    "time.now() > 1600000000",
    "time.now > 1",
    "time.year == 1",
    "console.log(\"a\")",
    "console.log(\"a\", 1)",
    "console.log(1.5)",
    "console.log(true)",
    "console.log(filesize > 3)",
    "console.log(\"a\", true)",
    "console.hex(12)",
    "console.log(pe.machine)",
    "console.log(helper)",
    "console.log(pe)",
    "string.length(\"a\") == 1",
    "string.to_int(\"12\") == 12",
    "string.to_int(\"12\", 16) == 18",
    "string.upper(\"a\") == \"A\"",
    "dotnet.is_dotnet",
    "dotnet.version contains \"v4\"",
    "dotnet.number_of_streams > 1",
    "dotnet.streams[0].name == \"a\"",
    "dotnet.classes[0].methods[0].name == \"a\"",
    "dotnet.number_of_generic_parameters > 1",
    "dotnet.assembly.version.major == 4",
    "hash.md5(0, filesize) == \"a\"",
    "hash.sha256(\"abc\") == \"a\"",
    "hash.sha512(0, 1) == \"a\"",
    "hash.md5(0) == \"a\"",
    "hash.crc32(0, 1) == 3",
    "hash.checksum32(0, 1) == 3",
    "for any i in (0..3) : ( uint8(i) == 1 )",
    "for any i in (3..0) : ( uint8(i) == 1 )",
    "for any i in (-1..3) : ( i == 1 )",
    "for all i in (1, 2, 3) : ( i > 0 )",
    "for any x in (\"a\", \"b\") : ( x == \"a\" )",
    "for any x in (1, \"b\") : ( true )",
    "for any x in (1.0, 2.0) : ( true )",
    "for any i in (0..pe.number_of_sections) : ( pe.sections[i].name == \"a\" )",
    "for any s in pe.sections : ( s.name == \".text\" )",
    "for any s in pe.sections : ( s.size == 1 )",
    "for any s in pe : ( true )",
    "for any s, t in pe.sections : ( true )",
    "for any k, v in pe.version_info : ( k == \"a\" and v contains \"b\" )",
    "for any k in pe.version_info : ( true )",
    "for any k, v in pe.version_info : ( v > 1 )",
    "for any i in filesize : ( true )",
    "for any t in pe.rich_signature.tools : ( t.toolid == 259 )",
    "for any g in dotnet.guids : ( g contains \"a\" )",
    "for 2 s in pe.sections : ( s.raw_data_size > 0 )",
    "for 50% i in (1, 2) : ( i == 1 )",
    "for -1 i in (1, 2) : ( i == 1 )",
    "for none i in (1, 2) : ( i == 3 )",
    "for any i, j in (1, 2) : ( true )",
    "for any i in (0..1) : ( for any i in (0..1) : ( true ) )",
    "for any a in (0..1) : ( for any b in (0..1) : ( for any c in (0..1) : ( for any d in (0..1) : ( a + b + c + d == 1 ) ) ) )",
    "for any a in (0..1) : ( for any b in (0..1) : ( for any c in (0..1) : ( for any d in (0..1) : ( for any e in (0..1) : ( a + b + c + d + e == 1 ) ) ) ) )",
    "for any a in (0..1) : ( a == 1 ) and for any a in (0..1) : ( a == 1 )",
    "with x = 3 : ( x == 3 )",
    "/abc/",
    "\"abc\"",
    "1",
    "1_000 == 1000",
    "0o17 == 15",
    "0x7fffffffffffffff > 1",
    "9223372036854775808 > 1",
    "10KB > 1",
    "pe.timestamp > 0",
    "vt.metadata.new_file",
    "magic.type() contains \"PE\"",
    "macho.cputype == 1",
    "lnk.is_lnk",
    "pe.machine matches /a/",
    "pe.pdb_path matches /a/i",
    "pe.pdb_path matches /a(?:b)/",
    "pe.number_of_exports == 0 and (pe.number_of_imports > 3 or pe.is_dll())",
];

/// Conditions over the strings `$a` and `$b`.
const OVER_STRINGS: &[&str] = &[
    "$a and $b",
    "$a or $b",
    "any of them",
    "all of them",
    "2 of them",
    "none of them",
    "50% of them",
    "0% of them",
    "101% of them",
    "any of ($a, $b)",
    "any of ($a*, $b)",
    "any of ($c*) and $a and $b",
    "$a and $c and $b",
    "$a at 0 and $b",
    "$a at \"x\" and $b",
    "$a in (0..100) and $b",
    "$a in (100..0) and $b",
    "#a > 3 and #b == 0",
    "#a in (0..100) > 1 and $b",
    "@a < @b",
    "@a[1] < @b[2]",
    "!a > 3 and !b[1] == 4",
    "@a[1.5] > 1 and $b",
    "for any of them : ( $ at 0 )",
    "for all of ($a, $b) : ( # > 1 and @ < 100 and ! > 2 )",
    "for any of them : ( for any of them : ( $ ) )",
    "for any i in (1..#a) : ( @a[i] == 0 ) and $b",
    "for any of them : ( for any i in (1..#) : ( @[i] > 10 ) )",
    "$ and $a and $b",
    "any of them at 0",
    "any of them in (0..10)",
    "all of ($a*) in (0..filesize) and $b",
    "any of (helper) at 0 and $a and $b",
    "$a",
    "$b",
    "for 50% of them : ( $ )",
    "1.5 of them",
    "-1 of them",
    "(2 - 3) of them",
    "\"a\" of them",
    "filesize of them",
    "helper of them",
    "for 3 of them : ( $ )",
    "for any of them : ( true )",
    "not $a and not $b",
    "not any of them",
    "$a and for any i in (0..1) : ( $b at i )",
    "$a == 1 and $b",
    "#a + #b > 3",
    "#a == \"x\" and $b",
    "them and $a and $b",
];

/// A rule of pieces, with all modules and two rules before it.
fn rule(numbers: &mut Numbers, strings: &[String]) -> String {
    let modules = [
        "pe", "elf", "math", "time", "console", "string", "dotnet", "hash", "vt", "magic", "macho",
        "lnk",
    ];
    let imports: String = modules.map(|it| format!("import \"{it}\"\n")).concat();
    let helpers = "rule helper { condition: true }\nrule other { condition: false }\n";
    let over_strings = numbers.below(3) > 0;
    let mut parts = Vec::new();
    let mut section = String::new();
    if over_strings {
        let any = |numbers: &mut Numbers| match numbers.below(3) {
            0 => r#""text""#.to_owned(),
            _ => strings[numbers.below(strings.len())].clone(),
        };
        section = format!("strings:\n $a = {}\n $b = {}\n", any(numbers), any(numbers));
        let usual = numbers.below(2) == 0;
        parts.push(if usual {
            "$a and $b"
        } else {
            numbers.one_of(OVER_STRINGS)
        });
    }
    if !over_strings || numbers.below(3) == 0 {
        parts.push(numbers.one_of(CONDITIONS));
    }
    if numbers.below(5) == 0 {
        parts.push(numbers.one_of(CONDITIONS));
    }
    let condition: Vec<String> = parts.iter().map(|it| format!("({it})")).collect();
    let joined = condition.join(numbers.one_of(&[" and ", " or ", " and not "]));
    format!("{imports}{helpers}rule it {{\n{section}condition:\n {joined}\n}}\n")
}

/// Rules that stand for themselves, near a limit.
fn limits() -> Vec<String> {
    let strings = |count: usize| -> String {
        (0..count)
            .map(|it| format!("$a{it} = \"text {it}\" "))
            .collect()
    };
    vec![
        format!(
            "rule it {{ strings: {} condition: any of them }}",
            strings(10_000)
        ),
        format!(
            "rule it {{ strings: {} condition: any of them }}",
            strings(10_001)
        ),
        "rule it : a b { condition: true }".to_owned(),
        "rule it : a a { condition: true }".to_owned(),
        "rule it { strings: $ = \"a1\" $ = \"a2\" condition: any of them }".to_owned(),
        "rule it { strings: $ = \"a1\" $a = \"a2\" condition: $a }".to_owned(),
        "rule it { strings: $a = \"a1\" $a = \"a2\" condition: $a }".to_owned(),
        "rule it { strings: $_a = \"a1\" condition: true }".to_owned(),
        "rule it { meta: a = 1 a = 2 condition: true }".to_owned(),
        "global rule all { condition: filesize > 1 } rule it { condition: true }".to_owned(),
        format!(
            "rule {} {{ condition: true }} rule it {{ condition: {} }}",
            "a".repeat(128),
            "a".repeat(128)
        ),
        format!(
            "rule {} {{ condition: true }} rule it {{ condition: {} }}",
            "a".repeat(129),
            "a".repeat(129)
        ),
    ]
}

#[test]
fn what_libyara_refuses_is_unportable_and_nothing_else() {
    let strings = strings();
    let mut numbers = Numbers(0x2026_1130);
    let mut sources = limits();
    sources.extend((0..4_000).map(|_| rule(&mut numbers, &strings)));
    let (mut taken, mut refused) = (0, 0);
    let mut wrong = Vec::new();
    for source in &sources {
        let rule = match cut(source, "it") {
            Ok(rule) => rule,
            Err(Error::Syntax { .. }) => continue,
            Err(error) => panic!("{error}: {source}"),
        };
        let refusal = yara_judge::refusal(&rule.text);
        match &refusal {
            Some(_) => refused += 1,
            None => taken += 1,
        }
        if refusal.is_some() == rule.unportable.is_empty() {
            let begin = rule.text.find("rule it").unwrap_or(0);
            let text: String = rule.text[begin..].chars().take(300).collect();
            wrong.push(format!("{refusal:?} {:?}\n{text}", rule.unportable));
        }
    }
    assert!(
        taken > 1_000 && refused > 1_000,
        "{taken} taken, {refused} refused"
    );
    let shown: Vec<&String> = wrong.iter().take(10).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} wrong: {shown:#?}",
        wrong.len(),
        taken + refused
    );
}
