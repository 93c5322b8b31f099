//! Whether YARA takes a condition: names, types and bounds (libyara's grammar.y and parser.c).
//!
//! The parser of YARA-X checks the syntax only. What is refused by both stands here too: an indicator whose rule does
//! not compile is refused with all that refers to it.

use std::collections::{BTreeSet, HashSet};

use yara_x_parser::ast::{
    BinaryExpr, Expr, ForIn, ForOf, FuncCall, Ident, Iterable, MatchAnchor, NAryExpr, Of, OfItems,
    PatternSet, Quantifier, Range,
};

use super::modules::{Kind, Shape};

/// The functions that YARA has outside of modules. YARA-X has more.
const FUNCTIONS: &[&str] = &[
    "int8", "int16", "int32", "int8be", "int16be", "int32be", "uint8", "uint16", "uint32",
    "uint8be", "uint16be", "uint32be",
];

/// Loops inside one another (`YR_MAX_LOOP_NESTING`).
const MAX_LOOPS: usize = 4;

/// What a free name stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    Module(Shape),
    Rule,
    /// Refused for that already.
    Unknown,
}

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    /// With its value, where it is constant.
    Integer(Option<i64>),
    Float,
    Text,
    Regexp,
    Boolean,
    Object(Shape),
    /// Refused already.
    Unknown,
}

impl Type {
    fn of(shape: Shape) -> Self {
        match shape.kind() {
            Kind::Integer => Self::Integer(None),
            Kind::Float => Self::Float,
            Kind::Text => Self::Text,
            _ => Self::Object(shape),
        }
    }

    /// The letter of an argument in [`Kind::Function`].
    fn letter(self) -> Option<char> {
        match self {
            Self::Integer(_) => Some('i'),
            Self::Float => Some('f'),
            Self::Text => Some('s'),
            Self::Regexp => Some('r'),
            Self::Boolean => Some('b'),
            Self::Object(_) | Self::Unknown => None,
        }
    }
}

/// Why YARA refuses a condition, in words; and the strings that it uses.
pub(super) struct Checked<'a> {
    pub reasons: BTreeSet<String>,
    /// Names of strings, without the `$`.
    pub used: HashSet<&'a str>,
}

/// Checks a condition. `strings` are the names of the rule's strings without the `$`.
pub(super) fn check<'a>(
    condition: &'a Expr<'a>,
    strings: &[&'a str],
    resolve: &dyn Fn(&str) -> Name,
) -> Checked<'a> {
    let mut checker = Checker {
        strings,
        resolve,
        checked: Checked {
            reasons: BTreeSet::new(),
            used: HashSet::new(),
        },
        loops: Vec::new(),
        is_over_strings: false,
    };
    checker.boolean(condition);
    checker.checked
}

struct Checker<'a, 'b> {
    strings: &'b [&'a str],
    resolve: &'b dyn Fn(&str) -> Name,
    checked: Checked<'a>,
    /// The variables of the loops around, with their types.
    loops: Vec<Vec<(&'a str, Type)>>,
    /// Whether one of them runs over strings, so that `$` is one of them.
    is_over_strings: bool,
}

impl<'a> Checker<'a, '_> {
    fn refuse(&mut self, reason: impl Into<String>) -> Type {
        self.checked.reasons.insert(reason.into());
        Type::Unknown
    }

    /// Any expression: all but objects have a truth value.
    fn boolean(&mut self, expression: &'a Expr<'a>) -> Type {
        match expression {
            Expr::True { .. } | Expr::False { .. } => {}
            Expr::PatternMatch(found) => {
                self.string(found.identifier.name);
                self.anchor(found.anchor.as_ref());
            }
            Expr::Not(it) | Expr::Defined(it) => _ = self.boolean(&it.operand),
            Expr::And(it) | Expr::Or(it) => it.operands().for_each(|it| _ = self.boolean(it)),
            Expr::Eq(it)
            | Expr::Ne(it)
            | Expr::Lt(it)
            | Expr::Gt(it)
            | Expr::Le(it)
            | Expr::Ge(it) => {
                self.comparison(it);
            }
            Expr::Contains(it)
            | Expr::IContains(it)
            | Expr::StartsWith(it)
            | Expr::IStartsWith(it)
            | Expr::EndsWith(it)
            | Expr::IEndsWith(it)
            | Expr::IEquals(it) => {
                self.text(&it.lhs);
                self.text(&it.rhs);
            }
            Expr::Matches(it) => {
                self.text(&it.lhs);
                if !matches!(self.primary(&it.rhs), Type::Regexp | Type::Unknown) {
                    self.refuse("`matches` without a regular expression");
                }
            }
            Expr::Of(of) => self.of(of),
            Expr::ForOf(it) => self.for_of(it),
            Expr::ForIn(it) => self.for_in(it),
            // Refused by its keyword.
            Expr::With(_) => return Type::Unknown,
            _ => return self.value(expression),
        }
        Type::Boolean
    }

    /// What stands as an operand: a number, a text, a regular expression, the name of a rule.
    fn primary(&mut self, expression: &'a Expr<'a>) -> Type {
        let is_operand = matches!(
            expression,
            Expr::Filesize { .. }
                | Expr::Entrypoint { .. }
                | Expr::LiteralString(_)
                | Expr::LiteralInteger(_)
                | Expr::LiteralFloat(_)
                | Expr::Regexp(_)
                | Expr::Ident(_)
                | Expr::PatternCount(_)
                | Expr::PatternOffset(_)
                | Expr::PatternLength(_)
                | Expr::Lookup(_)
                | Expr::FieldAccess(_)
                | Expr::FuncCall(_)
                | Expr::Minus(_)
                | Expr::Add(_)
                | Expr::Sub(_)
                | Expr::Mul(_)
                | Expr::Div(_)
                | Expr::Mod(_)
                | Expr::BitwiseNot(_)
                | Expr::Shl(_)
                | Expr::Shr(_)
                | Expr::BitwiseAnd(_)
                | Expr::BitwiseOr(_)
                | Expr::BitwiseXor(_)
        );
        if is_operand {
            self.value(expression)
        } else {
            self.refuse("truth value as an operand")
        }
    }

    fn value(&mut self, expression: &'a Expr<'a>) -> Type {
        match expression {
            Expr::Filesize { .. } | Expr::Entrypoint { .. } => Type::Integer(None),
            Expr::LiteralString(_) => Type::Text,
            Expr::LiteralInteger(it) => Type::Integer(Some(it.value)),
            Expr::LiteralFloat(_) => Type::Float,
            Expr::Regexp(_) => Type::Regexp,
            Expr::PatternCount(it) => {
                self.string(it.identifier.name);
                it.range.iter().for_each(|range| self.range(range));
                Type::Integer(None)
            }
            Expr::PatternOffset(it) | Expr::PatternLength(it) => {
                self.string(it.identifier.name);
                it.index.iter().for_each(|index| _ = self.primary(index));
                Type::Integer(None)
            }
            Expr::Minus(it) => match self.primary(&it.operand) {
                Type::Integer(value) => Type::Integer(value.map(i64::wrapping_neg)),
                found @ (Type::Float | Type::Unknown) => found,
                _ => self.refuse("minus in front of what is no number"),
            },
            Expr::Add(it) => self.arithmetic(it, i64::checked_add),
            Expr::Sub(it) => self.arithmetic(it, i64::checked_sub),
            Expr::Mul(it) => self.arithmetic(it, i64::checked_mul),
            Expr::Div(it) => self.division(it),
            Expr::Mod(it) => self.remainder(it),
            Expr::BitwiseNot(it) => {
                let value = self.integer(&it.operand);
                Type::Integer(value.map(|it| !it))
            }
            Expr::Shl(it) | Expr::Shr(it) => {
                self.integer(&it.lhs);
                if self.integer(&it.rhs).is_some_and(|by| by < 0) {
                    return self.refuse("shift by a negative number");
                }
                Type::Integer(None)
            }
            Expr::BitwiseAnd(it) => self.bitwise(it, |a, b| a & b),
            Expr::BitwiseOr(it) => self.bitwise(it, |a, b| a | b),
            Expr::BitwiseXor(it) => self.bitwise(it, |a, b| a ^ b),
            _ => match self.access(None, expression) {
                Type::Object(_) => self.refuse("structure, list or function as an operand"),
                found => found,
            },
        }
    }

    /// Its value, where it is constant.
    fn integer(&mut self, expression: &'a Expr<'a>) -> Option<i64> {
        match self.primary(expression) {
            Type::Integer(value) => value,
            Type::Unknown => None,
            _ => {
                self.refuse("other than an integer where one is needed");
                None
            }
        }
    }

    fn text(&mut self, expression: &'a Expr<'a>) {
        if !matches!(self.primary(expression), Type::Text | Type::Unknown) {
            self.refuse("other than a text where one is needed");
        }
    }

    fn bitwise(&mut self, operands: &'a BinaryExpr<'a>, of: fn(i64, i64) -> i64) -> Type {
        let left = self.integer(&operands.lhs);
        let right = self.integer(&operands.rhs);
        Type::Integer(left.zip(right).map(|(a, b)| of(a, b)))
    }

    fn comparison(&mut self, operands: &'a BinaryExpr<'a>) {
        let types = (self.primary(&operands.lhs), self.primary(&operands.rhs));
        match types {
            (Type::Unknown, _) | (_, Type::Unknown) | (Type::Text, Type::Text) => {}
            (Type::Integer(_) | Type::Float, Type::Integer(_) | Type::Float) => {}
            _ => _ = self.refuse("comparison of different types"),
        }
    }

    /// The operands are taken from the left, two at a time.
    fn fold(
        &mut self,
        operands: &'a NAryExpr<'a>,
        of: impl Fn(&mut Self, Option<i64>, Option<i64>) -> Type,
    ) -> Type {
        let mut operands = operands.operands();
        let Some(first) = operands.next() else {
            return Type::Unknown;
        };
        let mut left = self.primary(first);
        for operand in operands {
            let right = self.primary(operand);
            left = match (left, right) {
                (Type::Integer(a), Type::Integer(b)) => of(self, a, b),
                (Type::Integer(_) | Type::Float, Type::Integer(_) | Type::Float) => Type::Float,
                (Type::Unknown, _) | (_, Type::Unknown) => Type::Unknown,
                _ => self.refuse("arithmetic with what is no number"),
            };
        }
        left
    }

    fn arithmetic(&mut self, operands: &'a NAryExpr<'a>, of: fn(i64, i64) -> Option<i64>) -> Type {
        self.fold(operands, |this, a, b| match (a, b) {
            (Some(a), Some(b)) => match of(a, b) {
                Some(value) => Type::Integer(Some(value)),
                None => this.refuse("constant beyond 64 bits"),
            },
            _ => Type::Integer(None),
        })
    }

    fn division(&mut self, operands: &'a NAryExpr<'a>) -> Type {
        self.fold(operands, |this, a, b| match b {
            Some(0) => this.refuse("division by a constant 0"),
            _ => Type::Integer(a.zip(b).map(|(a, b)| a.wrapping_div(b))),
        })
    }

    fn remainder(&mut self, operands: &'a NAryExpr<'a>) -> Type {
        let mut operands = operands.operands();
        let mut left = operands.next().and_then(|first| self.integer(first));
        for operand in operands {
            let right = self.integer(operand);
            if right == Some(0) {
                return self.refuse("division by a constant 0");
            }
            left = left.zip(right).map(|(a, b)| a.wrapping_rem(b));
        }
        Type::Integer(left)
    }

    fn anchor(&mut self, anchor: Option<&'a MatchAnchor<'a>>) {
        match anchor {
            Some(MatchAnchor::At(at)) => _ = self.integer(&at.expr),
            Some(MatchAnchor::In(within)) => self.range(&within.range),
            None => {}
        }
    }

    fn range(&mut self, range: &'a Range<'a>) {
        let bounds = (
            self.integer(&range.lower_bound),
            self.integer(&range.upper_bound),
        );
        if let (Some(lower), Some(upper)) = bounds
            && (lower > upper || lower < 0)
        {
            self.refuse("range that is negative or ends before its begin");
        }
    }

    /// A string by its name with the sign in front: `$a`, `#a`, `@a`, `!a`.
    fn string(&mut self, identifier: &'a str) {
        let name = identifier.get(1..).unwrap_or_default();
        if name.is_empty() && self.is_over_strings {
            return;
        }
        self.declared(name);
    }

    fn declared(&mut self, name: &'a str) {
        if name.is_empty() {
            self.refuse("`$` outside of a loop over strings");
        } else if self.strings.contains(&name) {
            self.checked.used.insert(name);
        } else {
            self.refuse(format!("string `${name}`, which is not declared"));
        }
    }

    fn set(&mut self, set: &'a PatternSet<'a>) {
        let PatternSet::Set(items) = set else {
            return self.matching("");
        };
        for item in items {
            let name = item
                .identifier
                .trim_start_matches('$')
                .trim_end_matches('*');
            if item.wildcard {
                self.matching(name);
            } else {
                self.declared(name);
            }
        }
    }

    fn matching(&mut self, prefix: &str) {
        let matching: Vec<&str> = self
            .strings
            .iter()
            .filter(|it| it.starts_with(prefix))
            .copied()
            .collect();
        if matching.is_empty() {
            self.refuse(format!(
                "set of strings `${prefix}*`, of which there is none"
            ));
        }
        self.checked.used.extend(matching);
    }

    fn quantifier(&mut self, quantifier: &'a Quantifier<'a>) {
        match quantifier {
            Quantifier::None { .. } | Quantifier::All { .. } | Quantifier::Any { .. } => {}
            Quantifier::Percentage(it) => {
                if self.integer(it).is_some_and(|it| !(1..=100).contains(&it)) {
                    self.refuse("percentage that is not from 1 to 100");
                }
            }
            Quantifier::Expr(it) => match self.primary(it) {
                Type::Integer(Some(..0)) => {
                    _ = self.refuse("negative number of strings, rules or turns");
                }
                // YARA takes the truth value of a rule for a number here.
                Type::Integer(_) | Type::Boolean | Type::Unknown => {}
                _ => _ = self.refuse("other than an integer where one is needed"),
            },
        }
    }

    fn of(&mut self, of: &'a Of<'a>) {
        self.quantifier(&of.quantifier);
        match &of.items {
            OfItems::PatternSet(set) => self.set(set),
            OfItems::BoolExprTuple(items) => {
                let is_rule = |it: &Expr<'_>| match it {
                    Expr::Ident(it) => !matches!((self.resolve)(it.name), Name::Module(_)),
                    _ => false,
                };
                if !items.iter().all(is_rule) {
                    self.refuse("`of` over expressions");
                }
                if of.anchor.is_some() {
                    self.refuse("place of rules in the file");
                }
            }
        }
        self.anchor(of.anchor.as_ref());
    }

    /// Whether another loop may stand here.
    fn begin_loop(&mut self, quantifier: &'a Quantifier<'a>) {
        if let Quantifier::Percentage(_) = quantifier {
            self.refuse("percentage in a `for`");
        }
        self.quantifier(quantifier);
        if self.loops.len() == MAX_LOOPS {
            self.refuse("more than 4 loops inside one another");
        }
    }

    fn for_of(&mut self, it: &'a ForOf<'a>) {
        self.begin_loop(&it.quantifier);
        self.set(&it.pattern_set);
        if self.is_over_strings {
            self.refuse("loop over strings inside another one");
        }
        let around = std::mem::replace(&mut self.is_over_strings, true);
        self.loops.push(Vec::new());
        self.boolean(&it.body);
        self.loops.pop();
        self.is_over_strings = around;
    }

    fn for_in(&mut self, it: &'a ForIn<'a>) {
        self.begin_loop(&it.quantifier);
        let names: Vec<&str> = it.variables.iter().map(|it| it.name).collect();
        for (position, name) in names.iter().enumerate() {
            if names[..position].contains(name) || self.variable(name).is_some() {
                self.refuse(format!("loop variable `{name}`, which is one already"));
            }
        }
        let types = self.iterated(&it.iterable);
        if types.first() != Some(&Type::Unknown) && types.len() != names.len() {
            self.refuse("loop with another number of variables than its list gives");
        }
        let types = types.into_iter().chain(std::iter::repeat(Type::Unknown));
        self.loops.push(names.into_iter().zip(types).collect());
        self.boolean(&it.body);
        self.loops.pop();
    }

    /// The types of the variables that a loop over it has.
    fn iterated(&mut self, iterable: &'a Iterable<'a>) -> Vec<Type> {
        match iterable {
            Iterable::Range(range) => {
                self.range(range);
                vec![Type::Integer(None)]
            }
            Iterable::ExprTuple(items) => {
                let types: Vec<Type> = items.iter().map(|it| self.primary(it)).collect();
                let all =
                    |is: fn(&Type) -> bool| types.iter().all(|it| is(it) || *it == Type::Unknown);
                if all(|it| matches!(it, Type::Integer(_))) {
                    vec![Type::Integer(None)]
                } else if all(|it| *it == Type::Text) {
                    vec![Type::Text]
                } else {
                    vec![self.refuse("`for` over other than integers or texts")]
                }
            }
            Iterable::Expr(list) => match self.access(None, list) {
                Type::Object(shape) => match shape.kind() {
                    Kind::Array(item) => vec![Type::of(item)],
                    Kind::Dictionary(item) => vec![Type::Text, Type::of(item)],
                    _ => vec![self.refuse("`for` over what is no list")],
                },
                Type::Unknown => vec![Type::Unknown],
                _ => vec![self.refuse("`for` over what is no list")],
            },
        }
    }

    fn variable(&self, name: &str) -> Option<Type> {
        let mut variables = self.loops.iter().rev().flatten();
        variables
            .find(|(it, _)| *it == name)
            .map(|(_, found)| *found)
    }

    /// A name, a member of an object, an element of a list, or what a function returns. `of` is the object that the
    /// expression is a part of.
    fn access(&mut self, of: Option<Type>, expression: &'a Expr<'a>) -> Type {
        match expression {
            Expr::Ident(it) => self.named(of, it),
            Expr::FieldAccess(it) => {
                let mut found = of;
                for operand in it.operands() {
                    found = Some(self.access(found, operand));
                }
                found.unwrap_or(Type::Unknown)
            }
            Expr::Lookup(it) => {
                let list = self.access(of, &it.primary);
                self.element(list, &it.index)
            }
            Expr::FuncCall(it) => self.call(of, it),
            // In YARA an access begins with a name.
            _ => self.refuse("member of an expression"),
        }
    }

    fn named(&mut self, of: Option<Type>, identifier: &'a Ident<'a>) -> Type {
        let name = identifier.name;
        match of {
            None => match self.variable(name) {
                Some(found) => found,
                None => match (self.resolve)(name) {
                    Name::Module(shape) => Type::Object(shape),
                    Name::Rule => Type::Boolean,
                    Name::Unknown => Type::Unknown,
                },
            },
            Some(Type::Object(shape)) if shape.kind() == Kind::Structure => {
                match shape.member(name) {
                    Some(member) => Type::of(member),
                    None => self.refuse(format!("`{name}`, which the module does not have")),
                }
            }
            Some(Type::Unknown) => Type::Unknown,
            Some(_) => self.refuse(format!("member `{name}` of what has none")),
        }
    }

    fn element(&mut self, list: Type, index: &'a Expr<'a>) -> Type {
        let index = self.primary(index);
        let Type::Object(shape) = list else {
            return match list {
                Type::Unknown => Type::Unknown,
                _ => self.refuse("index of what is no list"),
            };
        };
        match (shape.kind(), index) {
            (Kind::Array(item), Type::Integer(_) | Type::Unknown)
            | (Kind::Dictionary(item), Type::Text | Type::Unknown) => Type::of(item),
            (Kind::Array(_) | Kind::Dictionary(_), _) => self.refuse("index of another type"),
            _ => self.refuse("index of what is no list"),
        }
    }

    fn call(&mut self, of: Option<Type>, call: &'a FuncCall<'a>) -> Type {
        let name = call.identifier.name;
        let of = match &call.object {
            Some(object) => Some(self.access(of, object)),
            None => of,
        };
        let arguments: Vec<Type> = call.args.iter().map(|it| self.boolean(it)).collect();
        let Some(of) = of else {
            return self.built_in(name, &arguments);
        };
        let function = match of {
            Type::Object(shape) if shape.kind() == Kind::Structure => shape.member(name),
            Type::Unknown => return Type::Unknown,
            _ => None,
        };
        let Some(Kind::Function(forms, returned)) = function.map(Shape::kind) else {
            return self.refuse(format!("function or method `{name}`"));
        };
        let letters: Option<String> = arguments.iter().map(|it| it.letter()).collect();
        if letters.is_some_and(|letters| !forms.split(',').any(|form| form == letters)) {
            return self.refuse(format!("arguments of `{name}`"));
        }
        Type::of(returned)
    }

    fn built_in(&mut self, name: &str, arguments: &[Type]) -> Type {
        if !FUNCTIONS.contains(&name) {
            return self.refuse(format!("function `{name}`"));
        }
        match arguments {
            [Type::Integer(_) | Type::Unknown] => Type::Integer(None),
            _ => self.refuse(format!("arguments of `{name}`")),
        }
    }
}
