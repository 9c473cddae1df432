// What the two readers of listings share: words with their lines, and a network that grows layer by layer.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "fovea/models.h"

namespace fovea::listing {

struct Token {
    enum class Kind { word, number, symbol, text, end };
    Kind kind = Kind::end;
    std::string text;
    int line = 0;
    [[nodiscard]] bool is(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
    [[nodiscard]] bool is_word(std::string_view word) const { return kind == Kind::word && text == word; }
};

/// The words of a listing, comments left out; the last token is Kind::end. Throws FormatError on bytes no listing has.
[[nodiscard]] std::vector<Token> tokens_of(std::string_view text, ListingKind kind);

class Reader {
public:
    explicit Reader(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
    [[nodiscard]] const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
    Token next() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
    bool skip(std::string_view symbol) { return peek().is(symbol) && (next(), true); }
    /// The line of the token taken last.
    [[nodiscard]] int last_line() const { return at_ > 0 ? tokens_[at_ - 1].line : 1; }
    [[nodiscard]] bool is_at_end() const { return peek().kind == Token::Kind::end; }
    void expect(std::string_view symbol, std::string_view after);

private:
    std::vector<Token> tokens_;
    std::size_t at_ = 0;
};

/// One layer as it was read, for messages and for the comparison with known networks.
struct Step {
    int line;
    std::string layer;     ///< "conv", "pool", "linear" or the listing's own word
    std::string label;     ///< as the listing writes it
    std::int64_t out = 0, kernel = 0, stride = 1;
    Shape shape{};
};

/// Limits against texts that describe more than anyone builds.
inline constexpr std::int64_t largest_number = 1 << 20;
inline constexpr std::int64_t largest_kernel = 1 << 10;
inline constexpr std::size_t most_layers = 10000;

struct Network {
    Graph graph;
    std::vector<Step> steps;
    std::vector<std::string> notes;

    void note(std::string text);
    /// Runs a layer; errors of shapes become FormatError with the line and the sizes so far.
    template <class F> Value apply(Step step, F&& layer) {
        require<FormatError>(steps.size() < most_layers, "line {}: more than {} layers", step.line, most_layers);
        try {
            const Value y = layer();
            step.shape = y.shape();
            check_size(step);
            steps.push_back(std::move(step));
            return y;
        } catch (const FormatError&) {
            throw;
        } catch (const Error& error) {
            refuse(step, error.what());
        }
    }
    [[noreturn]] void refuse(const Step& step, std::string_view why) const;
    /// "line 2 Conv2d 96 x 54 x 54, line 4 MaxPool2d 96 x 26 x 26": where maps change their size.
    [[nodiscard]] std::string sizes() const;

private:
    void check_size(const Step& step) const;
};

/// "3 x 224 x 224" of [N, 3, 224, 224].
[[nodiscard]] std::string size_text(const Shape& shape);

/// Channels, height and width the text itself states; 0 where it does not.
struct Stated {
    std::int64_t channels = 0, height = 0, width = 0;
};

// The readers. `input` is [N, C, H, W] with C, H and W known.
[[nodiscard]] Stated stated_by_torch(std::string_view text);
[[nodiscard]] Network read_torch(std::string_view text, const Shape& input);
[[nodiscard]] Stated stated_by_dlib(std::string_view text);
[[nodiscard]] Network read_dlib(std::string_view text, const Shape& input, bool padded);

/// What a network that looks like a known one has otherwise than that one.
void compare_with_known(Network& network);

}  // namespace fovea::listing
