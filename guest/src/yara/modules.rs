//! The modules of YARA: what a condition may read of each, and of which type.
//!
//! Facts of libyara 4.5.5 as the yara-python wheel has it, by which OpenCTI checks the pattern of an indicator. YARA-X
//! has more modules, and more in these.

/// Modules by name. An entry is a name with its type: nothing for an integer, `:s` a text, `:f` a floating-point number,
/// `{…}` a structure, `[]…` an array and `<>…` a dictionary of what follows, `(…)…` a function with the arguments that it
/// takes, in each of its forms, and with what it returns: `i`, `s`, `f`, `b` a truth value, `r` a regular expression.
const MODULES: [(&str, &str); 8] = [
    (
        "pe",
        "MACHINE_UNKNOWN MACHINE_AM33 MACHINE_AMD64 MACHINE_ARM MACHINE_ARMNT MACHINE_ARM64 MACHINE_EBC MACHINE_I386 \
         MACHINE_IA64 MACHINE_M32R MACHINE_MIPS16 MACHINE_MIPSFPU MACHINE_MIPSFPU16 MACHINE_POWERPC MACHINE_POWERPCFP \
         MACHINE_R4000 MACHINE_SH3 MACHINE_SH3DSP MACHINE_SH4 MACHINE_SH5 MACHINE_THUMB MACHINE_WCEMIPSV2 \
         MACHINE_TARGET_HOST MACHINE_R3000 MACHINE_R10000 MACHINE_ALPHA MACHINE_SH3E MACHINE_ALPHA64 MACHINE_AXP64 \
         MACHINE_TRICORE MACHINE_CEF MACHINE_CEE SUBSYSTEM_UNKNOWN SUBSYSTEM_NATIVE SUBSYSTEM_WINDOWS_GUI \
         SUBSYSTEM_WINDOWS_CUI SUBSYSTEM_OS2_CUI SUBSYSTEM_POSIX_CUI SUBSYSTEM_NATIVE_WINDOWS \
         SUBSYSTEM_WINDOWS_CE_GUI SUBSYSTEM_EFI_APPLICATION SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER \
         SUBSYSTEM_EFI_RUNTIME_DRIVER SUBSYSTEM_EFI_ROM_IMAGE SUBSYSTEM_XBOX SUBSYSTEM_WINDOWS_BOOT_APPLICATION \
         HIGH_ENTROPY_VA DYNAMIC_BASE FORCE_INTEGRITY NX_COMPAT NO_ISOLATION NO_SEH NO_BIND APPCONTAINER WDM_DRIVER \
         GUARD_CF TERMINAL_SERVER_AWARE RELOCS_STRIPPED EXECUTABLE_IMAGE LINE_NUMS_STRIPPED LOCAL_SYMS_STRIPPED \
         AGGRESIVE_WS_TRIM LARGE_ADDRESS_AWARE BYTES_REVERSED_LO MACHINE_32BIT DEBUG_STRIPPED REMOVABLE_RUN_FROM_SWAP \
         NET_RUN_FROM_SWAP SYSTEM DLL UP_SYSTEM_ONLY BYTES_REVERSED_HI IMAGE_DIRECTORY_ENTRY_EXPORT \
         IMAGE_DIRECTORY_ENTRY_IMPORT IMAGE_DIRECTORY_ENTRY_RESOURCE IMAGE_DIRECTORY_ENTRY_EXCEPTION \
         IMAGE_DIRECTORY_ENTRY_SECURITY IMAGE_DIRECTORY_ENTRY_BASERELOC IMAGE_DIRECTORY_ENTRY_DEBUG \
         IMAGE_DIRECTORY_ENTRY_ARCHITECTURE IMAGE_DIRECTORY_ENTRY_COPYRIGHT IMAGE_DIRECTORY_ENTRY_GLOBALPTR \
         IMAGE_DIRECTORY_ENTRY_TLS IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG IMAGE_DIRECTORY_ENTRY_BOUND_IMPORT \
         IMAGE_DIRECTORY_ENTRY_IAT IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR \
         IMAGE_NT_OPTIONAL_HDR32_MAGIC IMAGE_NT_OPTIONAL_HDR64_MAGIC IMAGE_ROM_OPTIONAL_HDR_MAGIC SECTION_NO_PAD \
         SECTION_CNT_CODE SECTION_CNT_INITIALIZED_DATA SECTION_CNT_UNINITIALIZED_DATA SECTION_LNK_OTHER \
         SECTION_LNK_INFO SECTION_LNK_REMOVE SECTION_LNK_COMDAT SECTION_NO_DEFER_SPEC_EXC SECTION_GPREL \
         SECTION_MEM_FARDATA SECTION_MEM_PURGEABLE SECTION_MEM_16BIT SECTION_MEM_LOCKED SECTION_MEM_PRELOAD \
         SECTION_ALIGN_1BYTES SECTION_ALIGN_2BYTES SECTION_ALIGN_4BYTES SECTION_ALIGN_8BYTES SECTION_ALIGN_16BYTES \
         SECTION_ALIGN_32BYTES SECTION_ALIGN_64BYTES SECTION_ALIGN_128BYTES SECTION_ALIGN_256BYTES \
         SECTION_ALIGN_512BYTES SECTION_ALIGN_1024BYTES SECTION_ALIGN_2048BYTES SECTION_ALIGN_4096BYTES \
         SECTION_ALIGN_8192BYTES SECTION_ALIGN_MASK SECTION_LNK_NRELOC_OVFL SECTION_MEM_DISCARDABLE \
         SECTION_MEM_NOT_CACHED SECTION_MEM_NOT_PAGED SECTION_MEM_SHARED SECTION_MEM_EXECUTE SECTION_MEM_READ \
         SECTION_MEM_WRITE SECTION_SCALE_INDEX RESOURCE_TYPE_CURSOR RESOURCE_TYPE_BITMAP RESOURCE_TYPE_ICON \
         RESOURCE_TYPE_MENU RESOURCE_TYPE_DIALOG RESOURCE_TYPE_STRING RESOURCE_TYPE_FONTDIR RESOURCE_TYPE_FONT \
         RESOURCE_TYPE_ACCELERATOR RESOURCE_TYPE_RCDATA RESOURCE_TYPE_MESSAGETABLE RESOURCE_TYPE_GROUP_CURSOR \
         RESOURCE_TYPE_GROUP_ICON RESOURCE_TYPE_VERSION RESOURCE_TYPE_DLGINCLUDE RESOURCE_TYPE_PLUGPLAY \
         RESOURCE_TYPE_VXD RESOURCE_TYPE_ANICURSOR RESOURCE_TYPE_ANIICON RESOURCE_TYPE_HTML RESOURCE_TYPE_MANIFEST \
         IMAGE_DEBUG_TYPE_UNKNOWN IMAGE_DEBUG_TYPE_COFF IMAGE_DEBUG_TYPE_CODEVIEW IMAGE_DEBUG_TYPE_FPO \
         IMAGE_DEBUG_TYPE_MISC IMAGE_DEBUG_TYPE_EXCEPTION IMAGE_DEBUG_TYPE_FIXUP IMAGE_DEBUG_TYPE_OMAP_TO_SRC \
         IMAGE_DEBUG_TYPE_OMAP_FROM_SRC IMAGE_DEBUG_TYPE_BORLAND IMAGE_DEBUG_TYPE_RESERVED10 IMAGE_DEBUG_TYPE_CLSID \
         IMAGE_DEBUG_TYPE_VC_FEATURE IMAGE_DEBUG_TYPE_POGO IMAGE_DEBUG_TYPE_ILTCG IMAGE_DEBUG_TYPE_MPX \
         IMAGE_DEBUG_TYPE_REPRO IMPORT_DELAYED IMPORT_STANDARD IMPORT_ANY is_pe machine number_of_sections timestamp \
         pointer_to_symbol_table number_of_symbols size_of_optional_header characteristics entry_point \
         entry_point_raw image_base number_of_rva_and_sizes number_of_version_infos version_info<>s \
         version_info_list[]{key:s value:s} opthdr_magic size_of_code size_of_initialized_data \
         size_of_uninitialized_data base_of_code base_of_data section_alignment file_alignment linker_version{major \
         minor} os_version{major minor} image_version{major minor} subsystem_version{major minor} win32_version_value \
         size_of_image size_of_headers checksum calculate_checksum()i subsystem dll_characteristics \
         size_of_stack_reserve size_of_stack_commit size_of_heap_reserve size_of_heap_commit loader_flags \
         data_directories[]{virtual_address size} sections[]{name:s full_name:s characteristics virtual_address \
         virtual_size raw_data_offset raw_data_size pointer_to_relocations pointer_to_line_numbers \
         number_of_relocations number_of_line_numbers} overlay{offset size} rich_signature{offset length key \
         raw_data:s clear_data:s version_data:s version(i,ii)i toolid(i,ii)i} imphash()s section_index(s,i)i \
         exports(s,r,i)i exports_index(s,i,r)i imports(ss,si,s,rr,iss,isi,is,irr)i import_rva(ss,si)i \
         delayed_import_rva(ss,si)i locale(i)i language(i)i is_dll()i is_32bit()i is_64bit()i number_of_imports \
         number_of_imported_functions number_of_delayed_imports number_of_delayed_imported_functions \
         number_of_exports dll_name:s export_timestamp export_details[]{offset name:s forward_name:s ordinal rva} \
         import_details[]{library_name:s number_of_functions functions[]{name:s ordinal rva}} \
         delayed_import_details[]{library_name:s number_of_functions functions[]{name:s ordinal rva}} \
         resource_timestamp resource_version{major minor} resources[]{rva offset length type id language \
         type_string:s name_string:s language_string:s} number_of_resources pdb_path:s signatures[]{thumbprint:s \
         issuer:s subject:s version algorithm:s algorithm_oid:s serial:s not_before not_after verified digest_alg:s \
         digest:s file_digest:s number_of_certificates certificates[]{thumbprint:s issuer:s subject:s version \
         algorithm:s algorithm_oid:s serial:s not_before not_after} signer_info{program_name:s digest:s digest_alg:s \
         length_of_chain chain[]{thumbprint:s issuer:s subject:s version algorithm:s algorithm_oid:s serial:s \
         not_before not_after}} number_of_countersignatures countersignatures[]{verified sign_time digest_alg:s \
         digest:s length_of_chain chain[]{thumbprint:s issuer:s subject:s version algorithm:s algorithm_oid:s \
         serial:s not_before not_after}} valid_on(i)i} is_signed number_of_signatures rva_to_offset(i)i",
    ),
    (
        "elf",
        "ET_NONE ET_REL ET_EXEC ET_DYN ET_CORE EM_NONE EM_M32 EM_SPARC EM_386 EM_68K EM_88K EM_860 EM_MIPS \
         EM_MIPS_RS3_LE EM_PPC EM_PPC64 EM_ARM EM_X86_64 EM_AARCH64 SHT_NULL SHT_PROGBITS SHT_SYMTAB SHT_STRTAB \
         SHT_RELA SHT_HASH SHT_DYNAMIC SHT_NOTE SHT_NOBITS SHT_REL SHT_SHLIB SHT_DYNSYM SHF_WRITE SHF_ALLOC \
         SHF_EXECINSTR type machine entry_point number_of_sections sh_offset sh_entry_size number_of_segments \
         ph_offset ph_entry_size sections[]{type flags address name:s size offset} PT_NULL PT_LOAD PT_DYNAMIC \
         PT_INTERP PT_NOTE PT_SHLIB PT_PHDR PT_TLS PT_GNU_EH_FRAME PT_GNU_STACK DT_NULL DT_NEEDED DT_PLTRELSZ \
         DT_PLTGOT DT_HASH DT_STRTAB DT_SYMTAB DT_RELA DT_RELASZ DT_RELAENT DT_STRSZ DT_SYMENT DT_INIT DT_FINI \
         DT_SONAME DT_RPATH DT_SYMBOLIC DT_REL DT_RELSZ DT_RELENT DT_PLTREL DT_DEBUG DT_TEXTREL DT_JMPREL DT_BIND_NOW \
         DT_INIT_ARRAY DT_FINI_ARRAY DT_INIT_ARRAYSZ DT_FINI_ARRAYSZ DT_RUNPATH DT_FLAGS DT_ENCODING STT_NOTYPE \
         STT_OBJECT STT_FUNC STT_SECTION STT_FILE STT_COMMON STT_TLS STB_LOCAL STB_GLOBAL STB_WEAK PF_X PF_W PF_R \
         segments[]{type flags offset virtual_address physical_address file_size memory_size alignment} \
         dynamic_section_entries dynamic[]{type val} symtab_entries symtab[]{name:s value size type bind shndx} \
         dynsym_entries dynsym[]{name:s value size type bind shndx} telfhash()s import_md5()s",
    ),
    (
        "math",
        "MEAN_BYTES:f in_range(fff)i deviation(iif,sf)f mean(ii,s)f serial_correlation(ii,s)f monte_carlo_pi(ii,s)f \
         entropy(ii,s)f min(ii)i max(ii)i to_number(b)i abs(i)i count(iii,i)i percentage(iii,i)f mode(ii,)i \
         to_string(i,ii)s",
    ),
    ("time", "now()i"),
    ("console", "log(s,ss,i,si,f,sf)i hex(i,si)i"),
    ("string", "to_int(s,si)i length(s)i"),
    (
        "dotnet",
        "is_dotnet version:s module_name:s streams[]{name:s offset size} number_of_streams guids[]s number_of_guids \
         resources[]{offset length name:s} number_of_resources classes[]{fullname:s name:s namespace:s visibility:s \
         type:s abstract sealed number_of_generic_parameters generic_parameters[]s number_of_base_types base_types[]s \
         number_of_methods methods[]{generic_parameters[]s number_of_generic_parameters parameters[]{name:s type:s} \
         number_of_parameters return_type:s abstract final virtual static visibility:s name:s}} number_of_classes \
         assembly_refs[]{version{major minor build_number revision_number} public_key_or_token:s name:s} \
         number_of_assembly_refs assembly{version{major minor build_number revision_number} name:s culture:s} \
         modulerefs[]s number_of_modulerefs user_strings[]s number_of_user_strings typelib:s constants[]s \
         number_of_constants field_offsets[]i number_of_field_offsets",
    ),
    (
        "hash",
        "md5(ii,s)s sha1(ii,s)s sha256(ii,s)s checksum32(ii,s)i crc32(ii,s)i",
    ),
];

/// A type, as it is written in [`MODULES`] behind a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape(&'static str);

/// What a [`Shape`] is.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Integer,
    Float,
    Text,
    Structure,
    /// Of what.
    Array(Shape),
    /// From texts to what.
    Dictionary(Shape),
    /// Its arguments in each form, one letter an argument, and what it returns.
    Function(&'static str, Shape),
}

/// The module of this name, a structure; none where libyara does not have it.
pub(super) fn module(name: &str) -> Option<Shape> {
    let module = MODULES.iter().find(|(it, _)| *it == name);
    module.map(|(_, members)| Shape(members))
}

impl Shape {
    pub(super) fn kind(self) -> Kind {
        let Self(text) = self;
        match text.as_bytes() {
            [] | [b'i'] => Kind::Integer,
            [b':', b's'] | [b's'] => Kind::Text,
            [b':', b'f'] | [b'f'] => Kind::Float,
            [b'[', b']', ..] => Kind::Array(Self(&text[2..])),
            [b'<', b'>', ..] => Kind::Dictionary(Self(&text[2..])),
            [b'(', ..] => match text[1..].split_once(')') {
                Some((arguments, returned)) => Kind::Function(arguments, Self(returned)),
                None => Kind::Structure,
            },
            _ => Kind::Structure,
        }
    }

    /// A member of a structure or module.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        self.members()
            .find(|(it, _)| *it == name)
            .map(|(_, shape)| shape)
    }

    /// The members of a structure or module.
    fn members(self) -> impl Iterator<Item = (&'static str, Self)> {
        let inner = self.0.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        let mut rest = inner.unwrap_or(self.0);
        std::iter::from_fn(move || {
            let entry = entry(rest);
            rest = rest[entry.len()..].trim_start();
            let name = entry.find(|it: char| !it.is_ascii_alphanumeric() && it != '_');
            let (name, shape) = entry.split_at(name.unwrap_or(entry.len()));
            (!name.is_empty()).then_some((name, Self(shape)))
        })
    }
}

/// Up to the blank behind the first entry; those in its braces belong to it.
fn entry(members: &str) -> &str {
    let mut depth = 0;
    let end = members.find(|it| {
        match it {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        it == ' ' && depth == 0
    });
    &members[..end.unwrap_or(members.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths to all that is not a structure, written as a condition reads it.
    fn paths(shape: Shape, path: &str, found: &mut Vec<(String, Kind)>) {
        match shape.kind() {
            Kind::Structure => {
                for (name, member) in shape.members() {
                    paths(member, &format!("{path}.{name}"), found);
                }
            }
            Kind::Array(item) => paths(item, &format!("{path}[0]"), found),
            Kind::Dictionary(item) => paths(item, &format!("{path}[\"a\"]"), found),
            kind => found.push((path.to_owned(), kind)),
        }
    }

    /// A condition that compiles if and only if the path has that type.
    fn conditions(path: &str, kind: &Kind) -> Vec<String> {
        let is = |path: &str, kind: &Kind| match kind {
            Kind::Text => format!("{path} == \"a\""),
            // Only a number has a remainder, and only an integer one.
            Kind::Integer => format!("{path} % 2 == 0"),
            Kind::Float => format!("{path} + 0.5 > 0.5"),
            other => panic!("{path} returns {other:?}"),
        };
        let Kind::Function(forms, returned) = kind else {
            return vec![is(path, kind)];
        };
        let argument = |letter: char| match letter {
            'i' => "1",
            'f' => "1.0",
            's' => "\"a\"",
            'b' => "true",
            'r' => "/a/",
            other => panic!("{path} takes {other}"),
        };
        let call = |form: &str| {
            let arguments: Vec<&str> = form.chars().map(argument).collect();
            is(
                &format!("{path}({})", arguments.join(", ")),
                &returned.kind(),
            )
        };
        forms.split(',').map(call).collect()
    }

    #[test]
    fn libyara_has_each_entry_with_its_type() {
        let mut count = 0;
        for (name, _) in MODULES {
            let mut found = Vec::new();
            paths(module(name).unwrap(), name, &mut found);
            for (path, kind) in found {
                for condition in conditions(&path, &kind) {
                    let source = format!("import \"{name}\" rule it {{ condition: {condition} }}");
                    assert_eq!(yara_judge::refusal(&source), None, "{source}");
                    count += 1;
                }
            }
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn members_are_found_at_their_depth() {
        let pe = module("pe").unwrap();
        let kind = |path: &[&str]| {
            let found = path.iter().try_fold(pe, |shape, name| match shape.kind() {
                Kind::Array(item) => item.member(name),
                _ => shape.member(name),
            });
            found.map(Shape::kind)
        };
        assert_eq!(kind(&["machine"]), Some(Kind::Integer));
        assert_eq!(kind(&["dll_name"]), Some(Kind::Text));
        assert_eq!(kind(&["sections", "name"]), Some(Kind::Text));
        assert_eq!(
            kind(&["signatures", "signer_info", "chain", "issuer"]),
            Some(Kind::Text)
        );
        assert_eq!(
            kind(&["rich_signature", "toolid"]),
            Some(Kind::Function("i,ii", Shape("i")))
        );
        for path in [
            &["issuer"] as &[&str],
            &["rich_signature", "tools"],
            &["MACHINE_ARM64EC"],
            &["machin"],
            &[""],
        ] {
            assert_eq!(kind(path), None, "{path:?}");
        }
        assert_eq!(module("vt"), None);
    }
}
