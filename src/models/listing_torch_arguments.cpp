// Numbers, sums of products of them, tuples and names.
#include "models/listing_torch_arguments.h"

#include <algorithm>
#include <cmath>

namespace fovea::listing {

double number_of(const Token& token) {
    double value = 0;
    try {
        std::size_t used = 0;
        value = std::stod(token.text, &used);
        if (used != token.text.size()) throw std::invalid_argument("");
    } catch (const std::exception&) {
        fail<FormatError>("line {}: '{}' is no number", token.line, token.text);
    }
    require<FormatError>(std::abs(value) <= 1e12, "line {}: {} is too large", token.line, token.text);
    return value;
}

namespace {

double sum(Reader& reader, Argument& a, int depth);

double factor(Reader& reader, Argument& a, int depth) {
    require<FormatError>(depth < 50, "line {}: too many brackets in a number", reader.peek().line);
    const Token token = reader.next();
    a.source += token.text;
    if (token.is("-")) return -factor(reader, a, depth + 1);
    if (token.is("(")) {
        const double value = sum(reader, a, depth + 1);
        reader.expect(")", a.source);
        a.source += ")";
        return value;
    }
    require<FormatError>(token.kind == Token::Kind::number, "line {}: a number is expected, got '{}'", token.line, token.text);
    return number_of(token);
}

double product(Reader& reader, Argument& a, int depth) {
    double value = factor(reader, a, depth);
    while (reader.peek().is("*") || reader.peek().is("/") || reader.peek().is("//")) {
        const Token token = reader.next();
        a.is_expression = true;
        a.source += " " + token.text + " ";
        const double other = factor(reader, a, depth);
        require<FormatError>(token.is("*") || other != 0, "line {}: division by zero", token.line);
        value = token.is("*") ? value * other : token.is("/") ? value / other : std::floor(value / other);
        require<FormatError>(std::abs(value) <= 1e12, "line {}: {} is too large", token.line, a.source);
    }
    return value;
}

double sum(Reader& reader, Argument& a, int depth) {
    double value = product(reader, a, depth);
    while (reader.peek().is("+") || reader.peek().is("-")) {
        const bool is_plus = reader.next().is("+");
        a.is_expression = true;
        a.source += is_plus ? " + " : " - ";
        value += (is_plus ? 1 : -1) * product(reader, a, depth);
    }
    return value;
}

Argument argument(Reader& reader) {
    Argument a{.line = reader.peek().line};
    if (reader.peek().kind == Token::Kind::word || reader.peek().kind == Token::Kind::text) {
        a.word = a.source = reader.next().text;
        return a;
    }
    if (reader.peek().is("(") || reader.peek().is("[")) {
        const bool is_round = reader.next().is("(");
        do {
            if (reader.peek().is(")") || reader.peek().is("]")) break;
            a.numbers.push_back(sum(reader, a, 0));
            a.source += ", ";
        } while (reader.skip(",") && a.numbers.size() < 8);
        reader.expect(is_round ? ")" : "]", "a tuple");
        return a;
    }
    a.numbers = {sum(reader, a, 0)};
    return a;
}

}  // namespace

Bound bind(Reader& reader, const std::string& module, int line, const std::vector<std::string>& names) {
    Bound bound{module, line, {}, module + "("};
    reader.expect("(", module);
    std::size_t position = 0;
    while (!reader.skip(")")) {
        require<FormatError>(!reader.is_at_end(), "line {}: the brackets of {} are not closed", line, module);
        std::string name;
        if (reader.peek().kind == Token::Kind::word && reader.peek(1).is("=")) {
            name = reader.next().text;
            reader.next();
            require<FormatError>(std::ranges::find(names, name) != names.end(), "line {}: {} has no argument '{}'; nearest: {}", reader.peek().line, module, name,
                                 names.empty() ? "none, it takes none" : fmt::format("{}", fmt::join(nearest_names(name, names), ", ")));
        } else {
            require<FormatError>(position < names.size(), "line {}: {} takes {} arguments at most", reader.peek().line, module, names.size());
            name = names[position++];
        }
        Argument value = argument(reader);
        if (bound.label.size() < 60) bound.label += (bound.values.empty() ? "" : ", ") + value.source;
        require<FormatError>(bound.values.emplace(name, std::move(value)).second, "line {}: {} gets '{}' twice", line, module, name);
        if (!reader.skip(",") && !reader.peek().is(")")) fail<FormatError>("line {}: ',' or ')' is expected in {}, got '{}'", reader.peek().line, module, reader.peek().text);
    }
    bound.label += ")";
    return bound;
}

}  // namespace fovea::listing
