// Forward and reverse mode shown pass by pass: the tables of Baydin et al. 2018 (arXiv:1502.05767), and both modes as one linear map and its transpose.
#include "fovea/explain/autodiff.h"

#include "support.h"

namespace fovea {
namespace {

const Assignment here{{"x1", 2}, {"x2", 5}};
Expression textbook() { return parse_expression("ln(x1) + x1*x2 - sin(x2)"); }

std::string refused(std::string_view text) {
    return test::message_of<ArgumentError>([&] { (void)parse_expression(text); });
}

TEST(Expression, IsTakenApartInTheOrderOfTextbooks) {
    const Expression e = textbook();
    EXPECT_EQ(e.variables, (std::vector<std::string>{"x1", "x2"}));
    std::vector<std::string> steps;
    for (const Expression::Step& step : e.steps) steps.push_back(e.text(step));
    EXPECT_EQ(steps, (std::vector<std::string>{"ln(x1)", "x1 * x2", "sin(x2)", "v1 + v2", "v4 - v3"}));
    EXPECT_EQ(e.name(e.outputs[0]), "v5");
    EXPECT_EQ(e.output_name(0), "y");
}

TEST(Expression, BindsAsUsual) {
    const auto value = [](std::string_view text) { return jacobian(parse_expression(text), {{"x", 3}}, DerivativeMode::forward).values[0]; };
    EXPECT_EQ(value("-x^2"), -9);
    EXPECT_EQ(value("2^3^2 - x"), 509);
    EXPECT_EQ(value("x - 2 - 1"), 0);
    EXPECT_EQ(value("12 / x / 2"), 2);
    EXPECT_EQ(value("2 * (x + 1.5e0) - -1"), 10);
    EXPECT_NEAR(value("x^x"), 27, 1e-13);
    EXPECT_NEAR(value("2^x"), 8, 1e-13);
    EXPECT_NEAR(value("cos(pi) * max(x, 4) + ln(2) - log(2)"), -4, 1e-14);
}

TEST(Expression, LettersOfVariablesAreNotTakenForSteps) {
    const Expression e = parse_expression("v1 * y; y + 1");
    EXPECT_EQ(e.text(e.steps[0]), "v1 * y");
    EXPECT_EQ(e.name(e.outputs[0]), "w1");
    EXPECT_EQ(e.output_name(1), "f2");
    EXPECT_EQ(e.texts, (std::vector<std::string>{"v1 * y", "y + 1"}));
}

TEST(Expression, ErrorsNameTheColumnWhatWasExpectedAndWhatCame) {
    EXPECT_EQ(refused("ln(x1) + )"), "column 10 of 'ln(x1) + )': expected a number, a name or '(', got ')'");
    EXPECT_EQ(refused("x1 *"), "column 5 of 'x1 *': expected a number, a name or '(', got the end");
    EXPECT_EQ(refused("(x1 + 1"), "column 8 of '(x1 + 1': expected an operator or ')', got the end");
    EXPECT_EQ(refused("2 x1"), "column 3 of '2 x1': expected an operator or the end, got 'x'");
    EXPECT_EQ(refused("x1 × 2"), "column 4 of 'x1 × 2': expected an operator or the end, got '×'");
    EXPECT_EQ(refused("sin x1"), "column 5 of 'sin x1': expected '(' behind the function sin, got 'x'");
    EXPECT_EQ(refused("max(x1)"), "column 1 of 'max(x1)': max takes 2 values, got 1");
    EXPECT_EQ(refused("1 + lg(x1)"), "column 5 of '1 + lg(x1)': no function 'lg'; there are ln, log, exp, sin, cos, tanh, sqrt, abs, erf, relu, sigmoid, softplus, max, min");
    EXPECT_EQ(refused("(-2)^x"), "column 1 of '(-2)^x': expected a positive number under an exponent that varies, got -2");
    EXPECT_EQ(refused("2 + 3"), "'2 + 3' has no variable, so it has no derivative");
    EXPECT_NE(refused(std::string(100'000, '(')).find("more than 200 parentheses"), std::string::npos);
}

TEST(Autodiff, ForwardPassIsTableTwo) {
    const DerivativePass pass = forward_pass(textbook(), here, {{"x1", 1}, {"x2", 0}});
    struct Line {
        const char *name, *expression;
        double value;
        const char* formula;
        double tangent;
    };
    const double log2 = 0.6931471805599453, sin5 = -0.9589242746631385;
    const std::vector<Line> want{{"x1", "", 2, "1", 1},
                                 {"x2", "", 5, "0", 0},
                                 {"v1", "ln(x1)", log2, "x1_dot / x1", 0.5},
                                 {"v2", "x1 * x2", 10, "x2_dot * x1 + x1_dot * x2", 5},
                                 {"v3", "sin(x2)", sin5, "x2_dot * cos(x2)", 0},
                                 {"v4", "v1 + v2", 10 + log2, "v1_dot + v2_dot", 5.5},
                                 {"v5", "v4 - v3", 10 + log2 - sin5, "v4_dot - v3_dot", 5.5},
                                 {"y", "v5", 10 + log2 - sin5, "v5_dot", 5.5}};
    ASSERT_EQ(pass.rows.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
        EXPECT_EQ(pass.rows[i].name, want[i].name);
        EXPECT_EQ(pass.rows[i].expression, want[i].expression);
        EXPECT_NEAR(pass.rows[i].value, want[i].value, 1e-14) << want[i].name;  // two roundings of about 10
        EXPECT_EQ(pass.rows[i].formula, want[i].formula);
        EXPECT_NEAR(pass.rows[i].derivative, want[i].tangent, 1e-15) << want[i].name;
    }
    EXPECT_EQ(pass.result, std::vector<double>{5.5});
}

TEST(Autodiff, ReversePassIsTableThree) {
    const DerivativePass pass = reverse_pass(textbook(), here, {1});
    struct Line {
        const char *name, *reader, *formula;
        double adds, adjoint;
    };
    const double cos5 = 0.2836621854632263;
    const std::vector<Line> want{{"v5", "y", "y_bar", 1, 1},
                                 {"v4", "v5", "v5_bar", 1, 1},
                                 {"v3", "v5", "-v5_bar", -1, -1},
                                 {"v2", "v4", "v4_bar", 1, 1},
                                 {"v1", "v4", "v4_bar", 1, 1},
                                 {"x2", "v3", "v3_bar * cos(x2)", -cos5, 2 - cos5},
                                 {"x2", "v2", "v2_bar * x1", 2, 2 - cos5},
                                 {"x1", "v2", "v2_bar * x2", 5, 5.5},
                                 {"x1", "v1", "v1_bar / x1", 0.5, 5.5}};
    EXPECT_EQ(pass.rows.front().name, "y");
    EXPECT_EQ(pass.rows.front().derivative, 1);
    std::size_t next = 0;
    for (const DerivativePass::Row& row : pass.rows)
        for (const DerivativePass::Addition& addition : row.additions) {
            ASSERT_LT(next, want.size());
            const Line& line = want[next++];
            EXPECT_EQ(row.name, line.name);
            EXPECT_EQ(addition.reader, line.reader) << line.name;
            EXPECT_EQ(addition.formula, line.formula) << line.name;
            EXPECT_NEAR(addition.value, line.adds, 1e-15) << line.name;
            EXPECT_NEAR(row.derivative, line.adjoint, 1e-15) << line.name;
        }
    EXPECT_EQ(next, want.size());
    ASSERT_EQ(pass.result.size(), 2u);
    EXPECT_NEAR(pass.result[0], 5.5, 1e-15);
    EXPECT_NEAR(pass.result[1], 1.7163378145367738, 1e-15);
}

TEST(Autodiff, OneModePaysByTheInputAndTheOtherByTheOutput) {
    const Jacobian forward = jacobian(textbook(), here, DerivativeMode::forward), reverse = jacobian(textbook(), here, DerivativeMode::reverse);
    EXPECT_EQ(forward.function_operations, 5);
    EXPECT_EQ(forward.passes.size(), 2u);
    EXPECT_EQ(reverse.passes.size(), 1u);
    // One division; two products and a sum; cos and a product; a sum; a negation (two, as any scale_shift) and a sum.
    EXPECT_EQ(forward.passes[0].operations, 10);
    EXPECT_EQ(forward.passes[1].operations, 10);
    // The same but for the sums, of which there are two.
    EXPECT_EQ(reverse.passes[0].operations, 9);
    const Expression wide = parse_expression("a*b*c*d; a + d");
    const Assignment at{{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}};
    EXPECT_EQ(jacobian(wide, at, DerivativeMode::forward).passes.size(), 4u);
    EXPECT_EQ(jacobian(wide, at, DerivativeMode::reverse).passes.size(), 2u);
    EXPECT_EQ(jacobian(wide, at, DerivativeMode::forward, {"d", "b"}).slopes, (std::vector<std::vector<double>>{{6, 12}, {1, 0}}));
    EXPECT_EQ(jacobian(wide, at, DerivativeMode::reverse, {"d", "b"}).slopes, (std::vector<std::vector<double>>{{6, 12}, {1, 0}}));
}

TEST(Autodiff, BothModesAreOneMapAndItsTranspose) {
    // <J v, u> = <v, J^T u>, over every function there is.
    const Expression e = parse_expression(
        "sin(x1*x2)/x3 + tanh(x1) - sqrt(x2)*erf(x3) + softplus(x1); exp(-x2^2)*sigmoid(x3) + x1^x3*cos(x2) - relu(x1 - x2) + max(x2, abs(x3))^1.5 + min(2, x1)");
    const Assignment at{{"x1", 1.3}, {"x2", 0.7}, {"x3", 2.1}}, v{{"x1", 0.4}, {"x2", -1.1}, {"x3", 0.9}};
    const std::vector<double> u{1.7, -0.6};
    const DerivativePass forward = forward_pass(e, at, v), reverse = reverse_pass(e, at, u);
    double from_forward = 0, from_reverse = 0;
    for (std::size_t o = 0; o < u.size(); ++o) from_forward += forward.result[o] * u[o];
    for (std::size_t i = 0; i < e.variables.size(); ++i) from_reverse += reverse.result[i] * v.at(e.variables[i]);
    EXPECT_NEAR(from_forward, from_reverse, 1e-12);  // numbers of order 1 to 10, some tens of roundings
    EXPECT_GT(std::abs(from_forward), 0.1);
    // What is said to make an adjoint adds up to it.
    for (const DerivativePass::Row& row : reverse.rows) {
        double sum = 0;
        for (const DerivativePass::Addition& addition : row.additions) sum += addition.value;
        if (row.additions.empty()) continue;  // an output: its adjoint is given
        EXPECT_NEAR(sum, row.derivative, 1e-12) << row.name;
    }
    const Jacobian by_input = jacobian(e, at, DerivativeMode::forward), by_output = jacobian(e, at, DerivativeMode::reverse);
    for (std::size_t o = 0; o < u.size(); ++o)
        for (std::size_t i = 0; i < e.variables.size(); ++i) {
            EXPECT_NEAR(by_input.slopes[o][i], by_output.slopes[o][i], 1e-12);
            const auto moved = [&](double by) {
                Assignment to = at;
                to[e.variables[i]] += by;
                return jacobian(e, to, DerivativeMode::reverse).values[o];
            };
            EXPECT_NEAR(by_input.slopes[o][i], (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-7);
        }
}

TEST(Autodiff, WhatDoesNotMoveIsLeftOut) {
    const Jacobian j = jacobian(parse_expression("x*y + cos(y); y; x; 3; x^0"), {{"x", 2}, {"y", 5}}, DerivativeMode::reverse, {"x"});
    EXPECT_EQ(j.slopes, (std::vector<std::vector<double>>{{5}, {0}, {1}, {0}, {0}}));
    for (const DerivativePass::Row& row : j.passes[0].rows) EXPECT_TRUE(row.name != "y" && row.expression != "cos(y)") << row.name;
    EXPECT_EQ(jacobian(j.expression, j.at, DerivativeMode::forward, {"x"}).slopes, j.slopes);
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)forward_pass(textbook(), {{"x1", 2}}, {{"x1", 1}}); }), "no value for 'x2'; the expression reads x1, x2");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)reverse_pass(textbook(), here, {1}, {"x3"}); }), "no variable 'x3'; the expression reads x1, x2");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)reverse_pass(textbook(), here, {1, 2}); }), "reverse pass: 2 cotangents for 1 outputs");
}

TEST(Autodiff, SheetsShowThePasses) {
    const Jacobian forward = jacobian(textbook(), here, DerivativeMode::forward), reverse = jacobian(textbook(), here, DerivativeMode::reverse);
    EXPECT_EQ(to_text(pass_sheet(forward.passes[0]), TableFormat::csv),
              "name,expression,value,formula,tangent\nx1,,2,x1_dot = 1,1\nx2,,5,x2_dot = 0,0\nv1,ln(x1),0.693147,v1_dot = x1_dot / x1,0.5\n"
              "v2,x1 * x2,10,v2_dot = x2_dot * x1 + x1_dot * x2,5\nv3,sin(x2),-0.958924,v3_dot = x2_dot * cos(x2),0\nv4,v1 + v2,10.6931,v4_dot = v1_dot + v2_dot,5.5\n"
              "v5,v4 - v3,11.6521,v5_dot = v4_dot - v3_dot,5.5\ny,v5,11.6521,y_dot = v5_dot,5.5\n");
    const std::string trace = to_text(pass_sheet(reverse.passes[0]), TableFormat::csv);
    EXPECT_NE(trace.find("y,v5,11.6521,,y_bar = 1,1,1\nv5,v4 - v3,11.6521,y,v5_bar = y_bar,1,1\n"), std::string::npos) << trace;
    EXPECT_NE(trace.find("x2,,5,v3,x2_bar = v3_bar * cos(x2),-0.283662,-0.283662\nx2,,5,v2,x2_bar += v2_bar * x1,2,1.71634\n"), std::string::npos) << trace;
    const Sheet sheet = jacobian_sheet({forward, reverse});
    EXPECT_EQ(sheet.title, "y = ln(x1) + x1*x2 - sin(x2) at x1 = 2, x2 = 5");
    EXPECT_EQ(to_text(sheet, TableFormat::csv), "output,value,d_x1,d_x2\ny,11.6521,5.5,1.71634\n");
    ASSERT_EQ(sheet.notes.size(), 4u);
    EXPECT_EQ(sheet.notes[1], "forward mode: 2 passes, one for each input; operations beside the function's: 20");
    EXPECT_EQ(sheet.notes[2], "reverse mode: 1 pass, one for each output; operations beside the function's: 9");
}

}  // namespace
}  // namespace fovea
