// The members of a JSON object, each asked for by name. Those that nobody asked for are refused in the end: an answer that passes over
// part of the question looks like any other.
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/ops/geometry.h"
#include "run.h"

namespace fovea::reference {

/// A member's name: PyTorch's, and the shorter one that records use where it differs. With both given the second stays unread.
struct FieldName {
    FieldName(const char* name) : torch(name) {}
    FieldName(const char* torch_name, const char* record_name) : torch(torch_name), record(record_name) {}
    const char* torch;
    const char* record = nullptr;
};

/// A null counts as not given, as None does in most of PyTorch. Every wrong value throws ArgumentError: what, where, expected, got.
class Fields {
public:
    /// Messages begin with `who` ("conv2d") and call a member `kind` ("attribute").
    Fields(Json values, std::string who, std::string kind);

    [[nodiscard]] bool has(FieldName name) { return find(name) != nullptr; }
    [[nodiscard]] bool has_text(FieldName name);
    /// Given, but as null: for the few members where None has a meaning of its own.
    [[nodiscard]] bool is_null(const char* name) const { return values_.contains(name) && values_[name].is_null(); }

    // `otherwise` where there is no such member; without it the member is needed.
    [[nodiscard]] double real(FieldName name);
    [[nodiscard]] double real(FieldName name, double otherwise) { return has(name) ? real(name) : otherwise; }
    [[nodiscard]] std::int64_t integer(FieldName name);
    [[nodiscard]] std::int64_t integer(FieldName name, std::int64_t otherwise) { return has(name) ? integer(name) : otherwise; }
    [[nodiscard]] bool flag(FieldName name, bool otherwise);
    [[nodiscard]] std::string text(FieldName name);
    [[nodiscard]] std::string text(FieldName name, const std::string& otherwise) { return has(name) ? text(name) : otherwise; }
    /// One of the words.
    [[nodiscard]] std::string choice(FieldName name, const std::string& otherwise, const std::vector<std::string>& words);
    /// A number for both, or [height, width].
    [[nodiscard]] Size2 size2(FieldName name);
    [[nodiscard]] Size2 size2(FieldName name, const Size2& otherwise) { return has(name) ? size2(name) : otherwise; }
    /// The same with fractions.
    [[nodiscard]] std::vector<double> real2(FieldName name);
    /// A list of numbers; empty where there is none.
    [[nodiscard]] std::vector<double> reals(FieldName name);
    [[nodiscard]] std::vector<std::int64_t> integers(FieldName name);

    /// Members that change no value need not be asked for.
    void note(std::initializer_list<const char*> names) { noted_.insert(names.begin(), names.end()); }
    /// The only value this tool computes.
    void only(const char* name, bool value);
    /// A description of what is computed must be the known one, spaces aside.
    void says(const char* name, const std::string& known);

    [[nodiscard]] const std::string& who() const { return who_; }
    /// Throws ArgumentError naming the members that nobody asked for, and those that were.
    void finish() const;

private:
    const Json* find(FieldName name);
    const Json& need(FieldName name);
    [[noreturn]] void wrong(FieldName name, std::string_view expected);

    Json values_;
    std::string who_, kind_;
    std::set<std::string> asked_, noted_;
};

}  // namespace fovea::reference
